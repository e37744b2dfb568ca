#include "report/liveness.h"

#include <gmock/gmock.h>

namespace ddro::report {
namespace {

constexpr double kNow = 1e9;

LifeSigns signs(const std::string& host, double age) {
  return {.beat = Beat{.process = 1, .host = host, .time = kNow - age}, .host = "here", .now = kNow};
}

TEST(Liveness, AHeldFolderIsARunningOneWhateverTheHeartbeat) {
  LifeSigns old = signs("elsewhere", 1e6);
  old.is_held = true;
  EXPECT_EQ(state_of(old), RunState::kRunning);
}

TEST(Liveness, WithoutAHeartbeatTheRunHasEndedByItself) {
  EXPECT_EQ(state_of({}), RunState::kStopped);
  LifeSigns finished;
  finished.is_finished = true;
  EXPECT_EQ(state_of(finished), RunState::kFinished);
}

TEST(Liveness, AHeartbeatThatWasLeftHereIsOfAKilledProcess) {
  EXPECT_EQ(state_of(signs("here", 1)), RunState::kDead);
  EXPECT_EQ(state_of(signs("here", 1e6)), RunState::kDead);
  LifeSigns finished = signs("here", 1);  // killed between its last two files
  finished.is_finished = true;
  EXPECT_EQ(state_of(finished), RunState::kFinished);
}

TEST(Liveness, OnAnotherHostTheAgeDecidesAsFarAsClocksAllow) {
  for (const double age : {0.0, 15.0, 59.0, -59.0})
    EXPECT_EQ(state_of(signs("elsewhere", age)), RunState::kRunning) << age;
  for (const double age : {61.0, 359.0, -61.0, -1e6})
    EXPECT_EQ(state_of(signs("elsewhere", age)), RunState::kUnknown) << age;
  for (const double age : {361.0, 1e6}) EXPECT_EQ(state_of(signs("elsewhere", age)), RunState::kDead) << age;
}

}  // namespace
}  // namespace ddro::report
