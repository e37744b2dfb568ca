#include "run/step_watch.h"

#include <gmock/gmock.h>

namespace ddro::run {
namespace {

TEST(UsualTime, IsKnownAfterAFewSteps) {
  UsualTime usual;
  usual.add(4);
  usual.add(2);
  EXPECT_EQ(usual.limit(), std::nullopt);
  usual.add(3);
  EXPECT_EQ(usual.median(), 3);
  EXPECT_EQ(usual.limit(), 30);
}

TEST(UsualTime, ForgetsOldStepsAndIsNotMovedByAFewSlowOnes) {
  UsualTime usual;
  for (int i = 0; i < 100; ++i) usual.add(100);
  for (int i = 0; i < 50; ++i) usual.add(i < 10 ? 1000 : 2);
  EXPECT_EQ(usual.limit(), 20);
}

TEST(UsualTime, SecondsAreNeverLateForFastSteps) {
  UsualTime usual;
  for (int i = 0; i < 10; ++i) usual.add(0.01);
  EXPECT_EQ(usual.limit(), 5);
}

TEST(WhatItWaitsFor, IsNothingWhereTimeIsSpentOnPurpose) {
  EXPECT_EQ(what_it_waits_for(Activity::kData), "waits for data");
  EXPECT_EQ(what_it_waits_for(Activity::kDisk), "waits for the disk");
  EXPECT_EQ(what_it_waits_for(Activity::kEvaluation), "");
  EXPECT_EQ(what_it_waits_for(Activity::kExport), "");
}

}  // namespace
}  // namespace ddro::run
