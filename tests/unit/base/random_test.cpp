#include "ddro/base/random.h"

#include <gmock/gmock.h>

#include <algorithm>

namespace ddro {
namespace {

TEST(RandomPermutation, HoldsEachIndexOnce) {
  for (const std::int64_t size : {0, 1, 31, 32, 33}) {
    std::vector<std::int64_t> order = random_permutation(size, 7, 1);
    std::sort(order.begin(), order.end());
    for (std::int64_t i = 0; i < size; ++i) EXPECT_EQ(order[static_cast<size_t>(i)], i);
  }
}

TEST(RandomPermutation, DependsOnSeedAndStream) {
  EXPECT_EQ(random_permutation(100, 1, 2), random_permutation(100, 1, 2));
  EXPECT_NE(random_permutation(100, 1, 2), random_permutation(100, 2, 2));
  EXPECT_NE(random_permutation(100, 1, 2), random_permutation(100, 1, 3));
}

TEST(RandomUnit, HasTheMeanAndVarianceOfTheUniform) {
  double sum = 0;
  double squares = 0;
  const int n = 100000;
  for (int i = 0; i < n; ++i) {
    const double u = random_unit(3, 4, static_cast<std::uint64_t>(i));
    ASSERT_GE(u, 0.0);
    ASSERT_LT(u, 1.0);
    sum += u;
    squares += u * u;
  }
  EXPECT_NEAR(sum / n, 0.5, 0.005);
  EXPECT_NEAR(squares / n, 1.0 / 3, 0.005);
}

}  // namespace
}  // namespace ddro
