// Every file of corpus/TARGET through its target: what a fuzzer begins with, and what it once found.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "ddro/base/log.h"
#include "fuzz/targets.h"

namespace ddro::test {
namespace {

namespace fs = std::filesystem;

class FuzzCorpus : public testing::TestWithParam<std::pair<const std::string, Target>> {};

TEST_P(FuzzCorpus, IsReadOrRefused) {
  const auto& [name, target] = GetParam();
  set_log_level(LogLevel::kOff);
  const fs::path folder = fs::path(std::getenv("DDRO_SOURCE_DIR")) / "tests/fuzz/corpus" / name;
  size_t num_files = 0;
  for (const auto& entry : fs::directory_iterator(folder)) {
    SCOPED_TRACE(entry.path().filename().string());
    std::ifstream file(entry.path(), std::ios::binary);
    const std::string input(std::istreambuf_iterator<char>(file), {});
    EXPECT_NO_THROW(target(input));
    ++num_files;
  }
  EXPECT_GT(num_files, 0U);
}

INSTANTIATE_TEST_SUITE_P(Targets, FuzzCorpus, testing::ValuesIn(targets().begin(), targets().end()),
                         [](const auto& instance) { return instance.param.first; });

}  // namespace
}  // namespace ddro::test
