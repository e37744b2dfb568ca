#include "report/sample_table.h"

#include <gmock/gmock.h>

namespace ddro::report {
namespace {

RunHistory run_with(std::vector<Sample> samples) {
  RunHistory run;
  run.samples = std::move(samples);
  return run;
}

TEST(SampleTable, PutsTheFirstAndTheLastAnswerBesideEachOther) {
  const Json samples =
      make_samples({run_with({{5, "p", "middle"}, {0, "p", "start"}, {9, "p", "end"}, {0, "q", "one"}})});
  EXPECT_EQ(samples.dump(),
            R"({"total":2,"prompts":[{"prompt":"p","cells":[{"label":"step 0","run":0,"text":"start"},)"
            R"({"label":"step 9","run":0,"text":"end"}]},)"
            R"({"prompt":"q","cells":[{"label":"step 0","run":0,"text":"one"}]}]})");
}

TEST(SampleTable, ShowsACommonStartOnce) {
  const RunHistory a = run_with({{0, "p", "start"}, {9, "p", "a"}});
  const RunHistory b = run_with({{0, "p", "start"}, {8, "p", "b"}});
  EXPECT_EQ(make_samples({a, b})["prompts"][0]["cells"].dump(),
            R"([{"label":"step 0","run":null,"text":"start"},{"label":"step 9","run":0,"text":"a"},)"
            R"({"label":"step 8","run":1,"text":"b"}])");
  EXPECT_EQ(make_samples({a, run_with({{0, "p", "other"}})})["prompts"][0]["cells"].size(), 3u);
  EXPECT_EQ(make_samples({a, run_with({})})["prompts"][0]["cells"].size(), 2u);
}

TEST(SampleTable, ShowsTheFirstOfManyPrompts) {
  std::vector<Sample> many;
  for (int i = 0; i < 300; ++i) many.push_back({0, "prompt " + std::to_string(i), "x"});
  const Json samples = make_samples({run_with(many)});
  EXPECT_EQ(samples["total"], 300);
  EXPECT_EQ(samples["prompts"].size(), 40u);
  EXPECT_EQ(make_samples({})["total"], 0);
}

}  // namespace
}  // namespace ddro::report
