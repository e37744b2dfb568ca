#include "ddro/train/nonfinite_guard.h"

#include <gmock/gmock.h>

namespace ddro::train {
namespace {

using Verdict = NonFiniteGuard::Verdict;

TEST(NonFiniteGuard, DumpsTheSecondInARowAndGivesUpAtTheFifth) {
  NonFiniteGuard guard;
  EXPECT_EQ(guard.record_non_finite(1), Verdict::kSkip);
  EXPECT_EQ(guard.record_non_finite(2), Verdict::kSkipAndDump);
  EXPECT_EQ(guard.record_non_finite(3), Verdict::kSkip);
  EXPECT_EQ(guard.record_non_finite(4), Verdict::kSkip);
  EXPECT_EQ(guard.record_non_finite(5), Verdict::kGiveUp);
  EXPECT_EQ(guard.total(), 5);
}

TEST(NonFiniteGuard, AFiniteStepEndsTheRow) {
  NonFiniteGuard guard;
  for (int step = 1; step <= 8; step += 2) {
    EXPECT_EQ(guard.record_non_finite(step), Verdict::kSkip);
    guard.record_finite();
  }
}

TEST(NonFiniteGuard, GivesUpAtTheEleventhOfAThousand) {
  NonFiniteGuard guard;
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(guard.record_non_finite(10 + i * 90), Verdict::kSkip);
    guard.record_finite();
  }
  NonFiniteGuard later = guard;
  EXPECT_EQ(guard.record_non_finite(1009), Verdict::kGiveUp);
  EXPECT_EQ(later.record_non_finite(1010), Verdict::kSkip);  // step 10 is a thousand steps ago
}

TEST(NonFiniteGuard, StateSurvivesARoundTrip) {
  NonFiniteGuard guard;
  for (int step = 1; step <= 4; ++step) guard.record_non_finite(step);
  NonFiniteGuard restored;
  restored.load(guard.state());
  EXPECT_EQ(restored.total(), 4);
  EXPECT_EQ(restored.record_non_finite(5), Verdict::kGiveUp);
}

}  // namespace
}  // namespace ddro::train
