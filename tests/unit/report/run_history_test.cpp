#include "ddro/report/run_history.h"

#include <gmock/gmock.h>

#include <cmath>

#include "support/expect_error.h"
#include "support/temporary_folder.h"

namespace ddro::report {
namespace {

using ddro::test::message_of;
using ddro::test::TemporaryFolder;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr const char* kMetrics =
    R"({"kind":"eval","step":0,"eval_a_loss":2,"eval_a_b_loss":3,"eval_a_b_ratio/auc":0.5,"eval_runtime":1}
{"kind":"train","step":1,"loss":1.5,"grad_norm":null,"skipped_steps":0,"note":"text"}
{"kind":"train","step":2,"loss":null,"skipped_steps":1}
{"kind":"other","step":2,"loss":7}
)";

TEST(RunHistory, ReadsMetricsByKindAndSet) {
  const TemporaryFolder folder;
  folder.write("run/metrics.jsonl", kMetrics);
  const RunHistory run = read_run(folder.path() / "run/");
  EXPECT_EQ(run.name, "run");
  EXPECT_THAT(run.train.at("loss").steps, ElementsAre(1, 2));
  EXPECT_EQ(run.train.at("loss").values[0], 1.5);
  EXPECT_TRUE(std::isnan(run.train.at("loss").values[1]));
  EXPECT_TRUE(std::isnan(run.train.at("grad_norm").values[0]));
  EXPECT_FALSE(run.train.contains("note"));
  EXPECT_FALSE(run.train.contains("step"));
  ASSERT_EQ(run.eval.size(), 2u);
  EXPECT_EQ(run.eval[0].first, "a");
  EXPECT_EQ(run.eval[0].second.at("loss").values, std::vector<double>{2});
  EXPECT_EQ(run.eval[1].first, "a_b");
  EXPECT_EQ(run.eval[1].second.at("ratio/auc").values, std::vector<double>{0.5});
  EXPECT_THAT(run.remarks, ElementsAre("1 step skipped: loss or gradient was not finite, or a spike",
                                       "1 logged step without a finite loss, drawn as gaps"));
  EXPECT_THAT(run.samples, IsEmpty());
  EXPECT_THAT(run.settings, IsEmpty());
}

TEST(RunHistory, ReadsWhatElseIsThere) {
  const TemporaryFolder folder;
  folder.write("metrics.jsonl", "");
  folder.write("config.yaml", "train: {seed: 7}\n");
  folder.write("run.json", R"({"finished_step": null})");
  folder.write("dropped.jsonl", "{}\n{}\n");
  folder.write("samples.jsonl", R"({"step":0,"prompt":"p","completion":"c"}
{"step":9,"prompt":[{"role":"user","content":"hi"},{"x":1}],"completion":"d","logp":-1}
)");
  const RunHistory run = read_run(folder.path());
  EXPECT_THAT(run.settings, ElementsAre(::testing::Pair("train.seed", "7")));
  ASSERT_EQ(run.samples.size(), 2u);
  EXPECT_EQ(run.samples[0].prompt, "p");
  EXPECT_EQ(run.samples[1].step, 9);
  EXPECT_EQ(run.samples[1].prompt, "user: hi\n{\"x\":1}");
  EXPECT_EQ(run.samples[1].completion, "d");
  EXPECT_THAT(run.remarks, ElementsAre("2 data rows not used, see dropped.jsonl",
                                       "no training step is logged yet", "the run has not finished"));
}

TEST(RunHistory, LeavesOutALineThatIsStillBeingWritten) {
  const TemporaryFolder folder;
  folder.write("metrics.jsonl", std::string(kMetrics) + R"({"kind":"train","step":3,"lo)");
  const RunHistory run = read_run(folder.path());
  EXPECT_THAT(run.train.at("loss").steps, ElementsAre(1, 2));
  EXPECT_THAT(run.remarks[0], HasSubstr("the last line of metrics.jsonl is incomplete"));
}

TEST(RunHistory, NamesRunsByTheirPathWhereFoldersAreCalledTheSame) {
  const TemporaryFolder folder;
  for (const char* name : {"a/run", "b/run", "c/other\x01"})
    folder.write(name + std::string("/metrics.jsonl"), "");
  const auto runs =
      read_runs({folder.path() / "a/run", folder.path() / "b/run", folder.path() / "c/other\x01"});
  EXPECT_EQ(runs[0].name, (folder.path() / "a/run").string());
  EXPECT_EQ(runs[1].name, (folder.path() / "b/run").string());
  EXPECT_EQ(runs[2].name, "other\\x01");
}

struct Refusal {
  const char* name;
  const char* file;
  const char* content;
  const char* message;
};

class Refusals : public ::testing::TestWithParam<Refusal> {};

TEST_P(Refusals, NameFileAndLine) {
  const TemporaryFolder folder;
  folder.write("metrics.jsonl", "");
  folder.write(GetParam().file, GetParam().content);
  EXPECT_THAT(message_of(ErrorKind::kInput, [&] { read_run(folder.path()); }), HasSubstr(GetParam().message));
}

INSTANTIATE_TEST_SUITE_P(
    All, Refusals,
    ::testing::Values(
        Refusal{"NotJson", "metrics.jsonl", "{}}\n", "metrics.jsonl:1] not valid JSON"},
        Refusal{"NotAnObject", "metrics.jsonl", "[1]\n", "metrics.jsonl:1] is not a JSON object"},
        Refusal{"NoStep", "metrics.jsonl", "{\"kind\":\"train\",\"step\":1}\n{\"kind\":\"train\"}\n",
                "metrics.jsonl:2] has no step"},
        Refusal{"NegativeStep", "metrics.jsonl", "{\"step\":-1}\n", "metrics.jsonl:1] has no step"},
        Refusal{"StepIsText", "metrics.jsonl", "{\"step\":\"1\"}\n", "metrics.jsonl:1] has no step"},
        Refusal{"Utf8", "metrics.jsonl", "{\"\xff\":1}\n", "metrics.jsonl:1] not valid UTF-8"},
        Refusal{"NotASample", "samples.jsonl", "{\"step\":1}\n", "samples.jsonl:1] is not a sample"},
        Refusal{"NotARecord", "run.json", "{", "run.json"},
        Refusal{"NotYaml", "config.yaml", "a: [", "config.yaml:"}),
    [](const auto& entry) { return std::string(entry.param.name); });

TEST(RunHistory, RefusesWhatIsNoRun) {
  const TemporaryFolder folder;
  EXPECT_THAT(message_of(ErrorKind::kInput, [&] { read_run(folder.path() / "nothing"); }),
              HasSubstr("there is no such folder"));
  EXPECT_THAT(message_of(ErrorKind::kInput, [&] { read_run(folder.path()); }),
              HasSubstr("it holds no metrics.jsonl"));
}

}  // namespace
}  // namespace ddro::report
