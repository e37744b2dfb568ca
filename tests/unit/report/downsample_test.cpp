#include "report/downsample.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "ddro/base/random.h"

namespace ddro::report {
namespace {

using testing::Contains;
using testing::ElementsAre;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

TEST(Downsample, KeepsWhatFits) {
  EXPECT_THAT(points_to_keep({}, 5), ElementsAre());
  EXPECT_THAT(points_to_keep(std::vector<double>{3, kNan, 1, 4, 1}, 5), ElementsAre(0, 1, 2, 3, 4));
}

// Two pieces of five: the smallest, the largest and the gap of each, the first and the last.
TEST(Downsample, KeepsExtremesGapsAndEnds) {
  const std::vector<double> values = {5, 9, 6, kNan, 2, 7, 7, 8, 7, 7};
  EXPECT_THAT(points_to_keep(values, 8), ElementsAre(0, 1, 3, 4, 5, 7, 9));
}

TEST(Downsample, OfLongCurvesLosesNoExtremeAndStaysInItsBound) {
  for (const size_t size : {801u, 5000u, 100003u}) {
    std::vector<double> values(size);
    for (size_t i = 0; i < size; ++i) values[i] = random_unit(3, 1, i);
    values[size / 3] = 1e6;
    values[size / 2] = -1e6;
    values[size - 2] = kNan;
    const std::vector<size_t> kept = points_to_keep(values, 800);
    EXPECT_LE(kept.size(), 800u);
    EXPECT_GE(kept.size(), 500u);
    EXPECT_TRUE(std::is_sorted(kept.begin(), kept.end()));
    for (const size_t index : {size_t{0}, size / 3, size / 2, size - 2, size - 1})
      EXPECT_THAT(kept, Contains(index));
    EXPECT_EQ(kept, points_to_keep(values, 800));
  }
}

}  // namespace
}  // namespace ddro::report
