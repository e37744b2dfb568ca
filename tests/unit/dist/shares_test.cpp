#include "ddro/dist/shares.h"

#include <gmock/gmock.h>

namespace ddro::dist {
namespace {

using ::testing::ElementsAre;

TEST(Shares, GiveTheCostliestPiecesToTheRankWithLeastToDo) {
  const Shares shares = balanced_shares(std::vector<double>{2, 5, 4, 3, 3}, 2);
  EXPECT_THAT(shares.rank_of, ElementsAre(1, 0, 1, 1, 0));  // 5 + 3 and 4 + 3 + 2
  EXPECT_DOUBLE_EQ(shares.imbalance, 9 / 8.5);
}

TEST(Shares, LeaveRanksWithoutWorkWhereThereIsTooLittle) {
  const Shares shares = balanced_shares(std::vector<double>{2, 2}, 4);
  EXPECT_THAT(shares.rank_of, ElementsAre(0, 1));
  EXPECT_DOUBLE_EQ(shares.imbalance, 2);
  EXPECT_DOUBLE_EQ(balanced_shares({}, 3).imbalance, 1);
}

TEST(Shares, HaveNoMorePiecesThanTheyMay) {
  const Shares shares = balanced_shares(std::vector<double>{9, 1, 2, 3}, 2, 2);
  EXPECT_THAT(shares.rank_of, ElementsAre(0, 0, 1, 1));
  EXPECT_DOUBLE_EQ(shares.imbalance, 10 / 7.5);
}

TEST(Shares, OfOneRankAreAllItsOwn) {
  const Shares shares = balanced_shares(std::vector<double>{3, 0, 7}, 1);
  EXPECT_THAT(shares.rank_of, ElementsAre(0, 0, 0));
  EXPECT_DOUBLE_EQ(shares.imbalance, 1);
}

}  // namespace
}  // namespace ddro::dist
