#include "ddro/data/token_ids.h"

#include <gmock/gmock.h>

namespace ddro::data {
namespace {

using Ids = std::vector<text::TokenId>;

TEST(TokenIds, AreComparedByWhatTheyAre) {
  const TokenIds first = {1, 2, 3};
  TokenIds second = first;
  EXPECT_EQ(second.data(), first.data()) << "copies share their ids";
  EXPECT_FALSE(first < second);
  second = {1, 2, 4};
  EXPECT_EQ(first, (Ids{1, 2, 3}));
  EXPECT_LT(first, second);
  EXPECT_LT(TokenIds({1, 2}), first);
  EXPECT_EQ(TokenIds(), Ids());
}

TEST(TokenIds, HoldWhatTheirKeeperHas) {
  auto keeper = std::make_shared<Ids>(Ids{7, 8, 9});
  const TokenIds ids(keeper, std::span(*keeper).last(2));
  const std::weak_ptr<Ids> kept = keeper;
  keeper.reset();
  EXPECT_FALSE(kept.expired());
  EXPECT_EQ(ids, (Ids{8, 9}));
}

}  // namespace
}  // namespace ddro::data
