#include "ddro/train/spike_guard.h"

#include <gmock/gmock.h>

#include <cmath>
#include <random>

namespace ddro::train {
namespace {

using ::testing::HasSubstr;

// Losses about 1, norms about 200 with the long tail that capped rows give.
class Course {
 public:
  double loss() { return std::normal_distribution<>(1, 0.5)(random_); }
  double norm() { return std::lognormal_distribution<>(std::log(200), 0.5)(random_); }
  void go_on(SpikeGuard& guard, int steps) {
    for (int i = 0; i < steps; ++i) guard.record(loss(), norm(), false);
  }

 private:
  std::mt19937 random_{7};
};

TEST(SpikeGuard, RaisesNoFalseAlarmInTenThousandSteps) {
  Course course;
  SpikeGuard guard;
  for (int step = 0; step < 10000; ++step) {
    const double loss = course.loss(), norm = course.norm();
    EXPECT_EQ(guard.spike(loss, norm), "") << "step " << step;
    guard.record(loss, norm, false);
  }
}

TEST(SpikeGuard, FindsWhatIsFarAboveTheUsual) {
  Course course;
  SpikeGuard guard;
  course.go_on(guard, 29);
  EXPECT_EQ(guard.spike(1e6, 1e6), "") << "too few to compare with";
  course.go_on(guard, 100);
  EXPECT_THAT(guard.spike(1, 2e6), HasSubstr("gradient norm 2e+06, usually "));
  EXPECT_THAT(guard.spike(1e4, 200), HasSubstr("loss 1e+04, usually "));
  EXPECT_EQ(guard.spike(-1e4, 0), "") << "below is no spike";
}

TEST(SpikeGuard, IsNotBlindedBySpikesAndFollowsALastingChange) {
  Course course;
  SpikeGuard guard;
  course.go_on(guard, 100);
  for (int i = 0; i < 20; ++i) guard.record(1e4, 1e6, true);
  EXPECT_NE(guard.spike(1e4, 200), "");
  for (int i = 0; i < 60; ++i) guard.record(1e4, 1e6, true);
  EXPECT_EQ(guard.spike(1e4, 1e6), "");
  EXPECT_EQ(guard.num_skipped(), 80);
}

TEST(SpikeGuard, AStandingValueAllowsForRounding) {
  SpikeGuard guard;
  for (int i = 0; i < 50; ++i) guard.record(0.7, 2, false);
  EXPECT_EQ(guard.spike(0.70001, 2.1), "");
  EXPECT_NE(guard.spike(0.7, 9), "");
}

TEST(SpikeGuard, IsTheSameAfterAResume) {
  Course course;
  SpikeGuard guard, again;
  course.go_on(guard, 60);
  guard.record(1, 1, true);
  again.load(Json::parse(guard.state().dump()));
  EXPECT_EQ(again.state(), guard.state());
  EXPECT_EQ(again.spike(1, 2e6), guard.spike(1, 2e6));
  EXPECT_EQ(again.num_skipped(), 1);
}

}  // namespace
}  // namespace ddro::train
