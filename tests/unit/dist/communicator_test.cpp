// Processes that talk to each other over Gloo.
#include "ddro/dist/communicator.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include "ddro/base/error.h"
#include "ddro/dist/agreement.h"
#include "support/on_ranks.h"

namespace ddro::dist {
namespace {

TEST(Communicator, GathersAnyNumberOfEach) {
  const auto results = test::on_ranks(3, [](const Communicator& ranks) {
    std::string said;
    for (const std::string& one : ranks.all_gather(std::string(static_cast<size_t>(ranks.rank() * 2), 'a')))
      said += one + "|";
    for (const auto& one : ranks.all_gather(std::vector<double>(ranks.rank() == 1 ? 1 : 0, 0.5)))
      said += std::to_string(one.size());
    return said + (ranks.any(ranks.rank() == 2) ? "y" : "n") + (ranks.any(false) ? "y" : "n") +
           ranks.broadcast("of " + std::to_string(ranks.rank()));
  });
  EXPECT_THAT(results, testing::Each("|aa|aaaa|010ynof 0"));
}

TEST(Communicator, AddsUpTheSameBitsOnEachRank) {
  const auto results = test::on_ranks(3, [](const Communicator& ranks) {
    const Tensor sum_N = at::full({1000}, 0.1 * (ranks.rank() + 1), at::kFloat);
    ranks.all_reduce(sum_N);
    EXPECT_LT((sum_N - 0.6).abs().max().item<double>(), 1e-6);
    return std::string(static_cast<const char*>(sum_N.const_data_ptr()), sum_N.nbytes());
  });
  EXPECT_THAT(results, testing::Each(results[0]));
  EXPECT_EQ(results[0].size(), 4000u);
}

// 1 + 2^-24 + 2^-24 is 1 in float32 from left to right, and more than 1 from right to left.
TEST(Communicator, AddsUpEachRanksRowInTheOrderOfTheRanks) {
  const auto results = test::on_ranks(3, [](const Communicator& ranks) {
    const Tensor rows_WN = at::full({3, 2}, ranks.rank() == 0 ? 1.0 : 0x1p-24, at::kFloat);
    rows_WN[2].fill_(ranks.rank() + 1);
    const Tensor sum_N = ranks.reduce_scatter(rows_WN);
    return std::to_string(sum_N.numel()) +
           (sum_N.eq(ranks.rank() == 2 ? 6 : 1).all().item<bool>() ? "y" : "n");
  });
  EXPECT_THAT(results, testing::Each("2y"));
}

TEST(Communicator, GathersTensorsByRank) {
  const auto results = test::on_ranks(3, [](const Communicator& ranks) {
    const Tensor own_N = at::full({2}, ranks.rank(), at::kBFloat16);
    const Tensor expected = at::tensor({0, 0, 1, 1, 2, 2}).view({3, 2});
    const Tensor first = ranks.gather(own_N);
    const bool is_right = ranks.is_first() ? first.eq(expected).all().item<bool>() : !first.defined();
    return std::string(is_right && ranks.all_gather(own_N).eq(expected).all().item<bool>() ? "y" : "n");
  });
  EXPECT_THAT(results, testing::Each("y"));
}

TEST(Communicator, OfOneProcessSaysWhatItWasTold) {
  EXPECT_EQ(alone().size(), 1);
  EXPECT_EQ(alone().all_gather(std::string("a")), std::vector<std::string>{"a"});
  EXPECT_EQ(alone().broadcast(2.5), 2.5);
  EXPECT_TRUE(alone().any(true));
  EXPECT_FALSE(alone().any(false));
}

TEST(Agreement, NamesTheFirstFactThatDiffersAndTheRank) {
  const auto results = test::on_ranks(3, [](const Communicator& ranks) {
    Json facts = {{"data", "abc"}, {"optimizer.learning_rate", ranks.rank() == 2 ? 0.5 : 0.25}};
    try {
      check_agreement(ranks, facts);
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string("agreed");
  });
  EXPECT_THAT(results, testing::Each(testing::HasSubstr(
                           "[optimizer.learning_rate] is not the same on all ranks; got 0.5 on rank 2, "
                           "expected 0.25 as on rank 0")));
}

}  // namespace
}  // namespace ddro::dist
