#include "report/panels.h"

#include <gmock/gmock.h>

#include <limits>

#include "unit/report/run_of.h"

namespace ddro::report {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

std::vector<std::string> titles(const Json& panels) {
  std::vector<std::string> all;
  for (const Json& panel : panels) all.push_back(panel["title"]);
  return all;
}

TEST(Panels, DrawTrainingAndEachEvaluationSet) {
  const Json panels = make_panels({run_of("loss", {2, 1.5, kNan, 1}, {3, 2})});
  ASSERT_EQ(panels.size(), 1u);
  EXPECT_EQ(panels[0]["title"], "Loss");
  EXPECT_EQ(panels[0]["lines"].dump(),
            R"([{"run":0,"set":null,"what":null,"steps":[1,2,3,4],"values":[2.0,1.5,null,1.0]},)"
            R"({"run":0,"set":"held_out","what":null,"steps":[0,1],"values":[3.0,2.0]}])");
}

TEST(Panels, AreLeftOutWithoutAValue) {
  EXPECT_TRUE(make_panels({}).empty());
  EXPECT_TRUE(make_panels({run_of("rewards/accuracies", {kNan, kNan})}).empty());
  EXPECT_TRUE(make_panels({run_of("some/other_metric", {1})}).empty());
}

TEST(Panels, GiveMemoryInGigabytes) {
  EXPECT_DOUBLE_EQ(
      make_panels({run_of("peak_memory_bytes", {2.5e9})})[0]["lines"][0]["values"][0].get<double>(), 2.5);
}

TEST(Panels, DrawABandOnlyWhereItsStepsAreThoseOfTheMean) {
  RunHistory run = run_of("log_ratio/chosen", {0.5, 1});
  run.train["log_ratio/chosen_p10"] = {{1, 2}, {-1, kNan}};
  run.train["log_ratio/chosen_p90"] = {{1, 2}, {2, 3}};
  const Json line = make_panels({run})[0]["lines"][0];
  EXPECT_EQ(line["what"], "preferred");
  EXPECT_EQ(line["low"].dump(), "[-1.0,null]");
  EXPECT_EQ(line["high"].dump(), "[2.0,3.0]");
  run.train["log_ratio/chosen_p90"].steps = {1, 3};
  EXPECT_FALSE(make_panels({run})[0]["lines"][0].contains("low"));
}

TEST(Panels, ShowClassesTogetherForOneRunAndApartForSeveral) {
  RunHistory run = run_of("log_ratio/chosen", {0.5});
  run.train["log_ratio/rejected"] = {{1}, {-0.5}};
  const Json one = make_panels({run});
  EXPECT_THAT(titles(one), testing::ElementsAre("Log-ratio by class, training"));
  EXPECT_EQ(one[0]["lines"].size(), 2u);
  const Json two = make_panels({run, run});
  EXPECT_THAT(titles(two), testing::ElementsAre("Log-ratio by class, training: preferred",
                                                "Log-ratio by class, training: unpreferred"));
  EXPECT_EQ(two[0]["group"], two[1]["group"]);
  EXPECT_EQ(two[1]["lines"][1]["run"], 1);
}

TEST(Panels, StaySmallForLongRuns) {
  const Json panels = make_panels({run_of("loss", std::vector<double>(50000, 1.0))});
  EXPECT_LE(panels[0]["lines"][0]["steps"].size(), 800u);
  EXPECT_EQ(panels[0]["lines"][0]["steps"].back(), 50000);
}

}  // namespace
}  // namespace ddro::report
