#include "report/tables.h"

#include <gmock/gmock.h>

#include <limits>

#include "unit/report/run_of.h"

namespace ddro::report {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

Json fact(const std::vector<RunHistory>& runs, const std::string& name) {
  for (const Json& row : make_facts(runs)) {
    if (row["name"] == name) return row["values"];
  }
  return nullptr;
}

TEST(Summary, IsTheFirstAndTheLastEvaluationOfEachSet) {
  const Json summary =
      make_summary({run_of("loss", {}, {1.25, 7, 0.5}), run_of("loss", {}, {kNan, 2}), RunHistory{}});
  ASSERT_EQ(summary.size(), 1u);
  EXPECT_EQ(summary[0]["set"], "held_out");
  EXPECT_EQ(summary[0]["rows"].dump(),
            R"([{"name":"loss","runs":[{"last":"0.5","first":"1.25","change":"-0.75",)"
            R"("steps":"step 0 → 2"},{"last":"2","steps":"step 1"},null]}])");
}

TEST(Summary, LeavesOutWhatNoRunHas) {
  EXPECT_TRUE(make_summary({run_of("loss", {1})}).empty());
  EXPECT_TRUE(make_summary({run_of("ratio/auc", {}, {kNan})}).empty());
}

TEST(Settings, OfSeveralRunsAreTheKeysThatDiffer) {
  RunHistory a;
  RunHistory b;
  a.settings = {{"train.seed", "1"}, {"train.max_steps", "5"}, {"old.key", "x"}};
  b.settings = {{"train.seed", "2"}, {"train.max_steps", "5"}};
  EXPECT_EQ(make_settings({a, b}).dump(),
            R"([{"name":"train.seed","values":["1","2"]},{"name":"old.key","values":["x",null]}])");
  EXPECT_EQ(make_settings({a}).size(), 3u);
  EXPECT_TRUE(make_settings({a, a}).empty());
}

TEST(Facts, SayHowFarARunIs) {
  RunHistory run = run_of("loss", {1, 1, 1});
  EXPECT_EQ(fact({run}, "state")[0], "at step 3");
  run.record = {{"finished_step", nullptr},
                {"run", {{"total_steps", 9}, {"device", "cpu"}, {"dtype", "float32"}}}};
  EXPECT_EQ(fact({run}, "state")[0], "at step 3 of 9");
  EXPECT_EQ(fact({run}, "device")[0], "cpu, float32");
  run.record["reference"] = "fitted to the rows of both classes, in reference/best";
  EXPECT_EQ(fact({run}, "reference")[0], run.record["reference"]);
  run.record["finished_step"] = 3;
  run.record["train_runtime"] = 3725.0;
  EXPECT_EQ(fact({run}, "state")[0], "finished at step 3");
  EXPECT_EQ(fact({run}, "time of the last start")[0], "1 h 2 min");
}

TEST(Facts, AreMediansAndLastValues) {
  const RunHistory run = run_of("tokens_per_second", {100, 4000, 3000});
  EXPECT_EQ(fact({run, run_of("num_tokens", {5, 70})}, "tokens a second (median)").dump(), R"(["3000","–"])");
  EXPECT_EQ(fact({run, run_of("num_tokens", {5, 70})}, "tokens").dump(), R"(["–","70"])");
  EXPECT_EQ(fact({run}, "peak memory"), nullptr);
}

// run.json may hold anything.
TEST(Facts, DoNotTrustTheRecord) {
  for (const char* record :
       {"3", "[]", R"({"run": 5})", R"({"run": {"device": 4, "total_steps": "x"}})",
        R"({"train_runtime": "long", "finished_step": {}})", R"({"train_runtime": 1e300})"}) {
    RunHistory run = run_of("loss", {1});
    run.record = Json::parse(record);
    EXPECT_THAT(fact({run}, "state")[0].get<std::string>(), testing::HasSubstr("at step 1")) << record;
  }
}

}  // namespace
}  // namespace ddro::report
