#include "run/metrics_file.h"

#include <gmock/gmock.h>
#include <sys/resource.h>

#include <csignal>
#include <fstream>
#include <limits>

#include "ddro/base/files.h"
#include "support/fixtures.h"
#include "support/temporary_folder.h"

namespace ddro::run {
namespace {

TEST(MetricsFile, WritesLinesWithNullForWhatIsNotFinite) {
  const test::TemporaryFolder folder;
  {
    MetricsFile file(folder / "metrics.jsonl", -1);
    file.write("train", 1,
               {{"loss", 0.5}, {"grad_norm", std::numeric_limits<double>::infinity()}, {"num_tokens", 12}});
  }
  EXPECT_EQ(read_file(folder / "metrics.jsonl"),
            "{\"kind\":\"train\",\"step\":1,\"loss\":0.5,\"grad_norm\":null,\"num_tokens\":12}\n");
}

TEST(MetricsFile, CutsOffWhatFollowsTheCheckpoint) {
  const test::TemporaryFolder folder;
  const auto path = folder / "metrics.jsonl";
  {
    MetricsFile file(path, -1);
    file.write("eval", 0, {});
    for (int step = 1; step <= 4; ++step) file.write("train", step, {});
    file.write("eval", 4, {});
  }
  std::ofstream(path, std::ios::app) << "{\"kind\":\"train\",\"step\":5,\"lo";  // torn
  {
    MetricsFile file(path, 3);
    EXPECT_EQ(file.last_evaluation(), 0);
    file.write("train", 4, {});
  }
  const std::string content = read_file(path);
  EXPECT_THAT(content,
              testing::EndsWith("{\"kind\":\"train\",\"step\":3}\n{\"kind\":\"train\",\"step\":4}\n"));
  EXPECT_EQ(std::count(content.begin(), content.end(), '\n'), 5);
}

TEST(MetricsFile, KeepsTheEvaluationOfTheCheckpointsStep) {
  const test::TemporaryFolder folder;
  const auto path = folder / "metrics.jsonl";
  {
    MetricsFile file(path, -1);
    file.write("train", 1, {});
    file.write("eval", 1, {});
    EXPECT_EQ(file.last_evaluation(), 1);
  }
  MetricsFile file(path, 1);
  EXPECT_EQ(file.last_evaluation(), 1);
}

TEST(MetricsFile, StartsEmptyWithoutACheckpoint) {
  const test::TemporaryFolder folder;
  const auto path = folder / "metrics.jsonl";
  std::ofstream(path) << "{\"kind\":\"train\",\"step\":1}\n";
  MetricsFile file(path, -1);
  EXPECT_EQ(read_file(path), "");
}

TEST(MetricsFile, NamesThePathThatCannotBeOpened) {
  try {
    MetricsFile file("/proc/no_such_folder/metrics.jsonl", -1);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kSave);
    EXPECT_THAT(error.what(), testing::HasSubstr("/proc/no_such_folder/metrics.jsonl"));
  }
}

TEST(MetricsFile, AFullDiskIsAnErrorNotASilence) {
  const test::TemporaryFolder folder;
  MetricsFile file(folder / "metrics.jsonl", -1);
  std::signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  getrlimit(RLIMIT_FSIZE, &before);
  const rlimit small{10, before.rlim_max};
  setrlimit(RLIMIT_FSIZE, &small);
  EXPECT_THROW(file.write("train", 1, {}), Error);
  setrlimit(RLIMIT_FSIZE, &before);
}

}  // namespace
}  // namespace ddro::run
