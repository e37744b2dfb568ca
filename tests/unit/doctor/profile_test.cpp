#include "doctor/profile.h"

#include <ATen/ATen.h>
#include <ATen/record_function.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

namespace ddro::doctor {
namespace {

// On one thread "outer" calls "inner" twice, and "inner" calls "leaf"; another thread runs "leaf" meanwhile.
std::vector<Interval> sample() {
  return {{"inner", 1, 200, 500},
          {"outer", 1, 100, 1100},
          {"leaf", 1, 300, 400},
          {"inner", 1, 600, 700},
          {"leaf", 2, 1000, 1600}};
}

TEST(Profile, OwnTimeLeavesOutWhatIsCalled) {
  std::map<std::string, KernelTime> times;
  for (const KernelTime& time : own_times(sample())) times[time.name] = time;
  EXPECT_DOUBLE_EQ(times["outer"].seconds, 600e-9);
  EXPECT_DOUBLE_EQ(times["inner"].seconds, 300e-9);
  EXPECT_DOUBLE_EQ(times["leaf"].seconds, 700e-9);
  EXPECT_EQ(times["inner"].calls, 2);
  EXPECT_EQ(own_times(sample()).front().name, "leaf");
}

TEST(Profile, CoveredTimeCountsOverlapsOnce) {
  EXPECT_DOUBLE_EQ(covered_seconds(sample()), 1500e-9);
  EXPECT_DOUBLE_EQ(covered_seconds({{"a", 1, 0, 10}, {"b", 1, 20, 30}}), 20e-9);
  EXPECT_EQ(covered_seconds({}), 0);
}

TEST(Profile, PhasesAreWholeAndInOrder) {
  const std::vector<KernelTime> phases = phase_times(
      {{"b", 1, 500, 800, true}, {"leaf", 1, 150, 190}, {"a", 1, 100, 200, true}, {"a", 1, 900, 950, true}});
  ASSERT_EQ(phases.size(), 2u);
  EXPECT_EQ(phases[0].name, "a");
  EXPECT_EQ(phases[0].calls, 2);
  EXPECT_DOUBLE_EQ(phases[0].seconds, 150e-9);
  EXPECT_DOUBLE_EQ(phases[1].seconds, 300e-9);
}

TEST(Profile, RecordsPhases) {
  const Tensor a = at::ones({64, 64});
  const Profile result = profile(at::kCPU, [&] {
    RECORD_USER_SCOPE("products");
    at::mm(a, a);
  });
  ASSERT_EQ(result.phases.size(), 1u);
  EXPECT_EQ(result.phases[0].name, "products");
  EXPECT_GT(result.phases[0].seconds, 0);
}

TEST(Profile, RecordsOperations) {
  const Tensor a = at::ones({64, 64});
  const Profile result = profile(at::kCPU, [&] {
    for (int i = 0; i < 3; ++i) at::mm(a, a);
  });
  const auto found = std::find_if(result.kernels.begin(), result.kernels.end(),
                                  [](const KernelTime& time) { return time.name == "aten::mm"; });
  ASSERT_NE(found, result.kernels.end());
  EXPECT_EQ(found->calls, 3);
  EXPECT_GT(found->seconds, 0);
}

}  // namespace
}  // namespace ddro::doctor
