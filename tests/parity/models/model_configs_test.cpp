// Every key that transformers' own classes have is read, or known to have no effect: a configuration that it
// saved is neither refused nor warned about.
#include "ddro/models/model_config.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "support/fixtures.h"

namespace ddro::models {
namespace {

// Beside dropout, which families say for themselves.
void expect_no_remark(const std::filesystem::path& folder) {
  const std::string path = (folder / "config.json").string();
  SCOPED_TRACE(path);
  const Json config = read_json_file(path, ErrorKind::kInput);
  EXPECT_NO_THROW({
    for (const std::string& setting : parse_model_config(config, path).unused_settings)
      EXPECT_NE(setting.find("drop"), std::string::npos) << setting;
  });
}

class ModelConfigsOfTransformers : public testing::TestWithParam<const char*> {};

TEST_P(ModelConfigsOfTransformers, HaveNoKeyThatIsNotKnown) {
  int checked = 0;
  for (const auto& entry : std::filesystem::directory_iterator(test::fixture(GetParam()))) {
    if (!std::filesystem::exists(entry.path() / "config.json")) continue;
    expect_no_remark(entry.path());
    ++checked;
  }
  EXPECT_GT(checked, 40);
}

INSTANTIATE_TEST_SUITE_P(Fixtures, ModelConfigsOfTransformers, testing::Values("model_configs", "models"),
                         [](const auto& each) { return std::string(each.param); });

}  // namespace
}  // namespace ddro::models
