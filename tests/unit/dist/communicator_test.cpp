// Processes that talk to each other over Gloo.
#include "ddro/dist/communicator.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <functional>
#include <future>
#include <thread>

#include "ddro/base/error.h"
#include "ddro/dist/agreement.h"
#include "ddro/dist/together.h"
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
    return std::string(ranks.all_gather(own_N).eq(expected).all().item<bool>() ? "y" : "n");
  });
  EXPECT_THAT(results, testing::Each("y"));
}

// Rank r has r + d bytes for rank d, nothing where that is 0.
TEST(Communicator, SendsEachRankWhatIsForIt) {
  const auto results = test::on_ranks(3, [](const Communicator& ranks) {
    std::vector<Tensor> for_each;
    std::vector<std::int64_t> from_each;
    for (int rank = 0; rank < 3; ++rank) {
      for_each.push_back(at::full({ranks.rank() + rank}, 'a' + ranks.rank(), at::kByte));
      from_each.push_back(ranks.rank() + rank);
    }
    const Tensor got = ranks.all_to_all(for_each, from_each);
    return std::string(static_cast<const char*>(got.const_data_ptr()), got.nbytes());
  });
  EXPECT_THAT(results, testing::ElementsAre("bcc", "abbccc", "aabbbcccc"));
}

// Rank r sends r and 10 r to the ranks above it, in two tensors; two swaps are under way at once.
TEST(Communicator, SwapsTensorsWhereTheyAre) {
  const auto results = test::on_ranks(3, [](const Communicator& ranks) {
    std::vector<Communicator::TensorsByRank> come(2, Communicator::TensorsByRank(3));
    std::vector<std::function<void()>> waits;
    for (size_t trip = 0; trip < come.size(); ++trip) {
      Communicator::TensorsByRank sent(3);
      for (int rank = 0; rank < 3; ++rank) {
        const auto other = static_cast<size_t>(rank);
        const double said = ranks.rank() + 100.0 * static_cast<double>(trip);
        if (rank > ranks.rank()) sent[other] = {at::full({3}, said), at::full({100'000}, 10 * said)};
        if (rank < ranks.rank()) come[trip][other] = {at::zeros({5}).narrow(0, 1, 3), at::zeros({100'000})};
      }
      waits.push_back(ranks.begin_swap(sent, come[trip]));
    }
    for (const auto& wait : waits) wait();
    std::string all;
    for (const auto& trip : come) {
      for (const auto& of_rank : trip) {
        for (const Tensor& one : of_rank) {
          all += std::to_string(one[0].item<int>()) + " ";
          EXPECT_TRUE(one.eq(one[0]).all().item<bool>());
        }
      }
    }
    return all;
  });
  EXPECT_THAT(results, testing::ElementsAre("", "0 0 100 1000 ", "0 0 1 10 100 1000 101 1010 "));
}

// While another thread of each rank is in exchanges of the group.
TEST(Communicator, ExchangesWordsBesideEverythingElse) {
  const auto results = test::on_ranks(3, [](const Communicator& ranks) {
    auto words = std::async(std::launch::async, [&] {
      std::string all;
      for (int i = 0; i < 5; ++i) {
        std::this_thread::sleep_for(std::chrono::milliseconds(20 * ranks.rank()));
        for (const std::string& one : ranks.exchange(std::to_string(10 * i + ranks.rank()))) all += one + " ";
      }
      return all;
    });
    double sum = 0;
    for (int i = 0; i < 200; ++i) sum += ranks.broadcast(ranks.rank() == 0 ? 1.0 : 0.0);
    return words.get() + std::to_string(static_cast<int>(sum));
  });
  EXPECT_THAT(results, testing::Each("0 1 2 10 11 12 20 21 22 30 31 32 40 41 42 200"));
}

TEST(Communicator, MayHaveAsManyConnectionsAsTheSystemAllows) {
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit low{std::min<rlim_t>(256, before.rlim_max), before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &low), 0);
  const auto results = test::on_ranks(2, [](const Communicator&) {
    rlimit limit{};
    getrlimit(RLIMIT_NOFILE, &limit);
    return std::to_string(limit.rlim_cur);
  });
  setrlimit(RLIMIT_NOFILE, &before);
  EXPECT_THAT(results, testing::Each(std::to_string(before.rlim_max)));
}

// A thread that waits for the words of a rank does not wait for ever.
TEST(Communicator, LeavesAnExchangeOfWordsWhenARankIsLost) {
  const auto results = test::on_ranks(2, [](const Communicator& ranks) {
    if (ranks.rank() == 1) std::raise(SIGKILL);
    const auto code_of = [](const std::function<void()>& work) -> std::string {
      try {
        work();
      } catch (const Error& error) {
        return std::to_string(error.exit_code());
      }
      return "none";
    };
    auto words = std::async(std::launch::async, [&] { ranks.exchange("here"); });
    const std::string of_group = code_of([&] { ranks.barrier(); });
    return of_group + " " + code_of([&] { words.get(); });
  });
  EXPECT_EQ(results[0], "76 76");
}

// On a GPU nobody waits for an exchange in a way that ends: the ranks' beats tell that one does not come.
TEST(Communicator, EndsARunInWhichARankThatLivesDoesNotCome) {
  const auto begin = std::chrono::steady_clock::now();
  const auto results = test::on_ranks(
      2,
      [](const Communicator& ranks) {
        const Tensor one = at::ones({1});
        const Arrival begun = ranks.is_first() ? ranks.begin_all_gather(one) : nullptr;
        std::this_thread::sleep_for(std::chrono::seconds(60));
        return std::string("waited");
      },
      at::kCPU, /*timeout_s=*/10);
  EXPECT_THAT(results, testing::Each(""));
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(30));
}

TEST(Together, GivesAllWhatEachHasAndTheFirstErrorOfAny) {
  const auto results = test::on_ranks(3, [](const Communicator& ranks) {
    std::string said;
    for (const std::string& one : together(ranks, [&] { return "a b" + std::to_string(ranks.rank()); }))
      said += one + "|";
    try {
      together(ranks, [&]() -> std::string {
        if (ranks.rank() > 0) throw save_error("no space on " + std::to_string(ranks.rank()));
        return "";
      });
    } catch (const Error& error) {
      said += error.what() + std::to_string(error.exit_code());
    }
    return said + together(ranks, [] { return std::string("go on"); }).back();
  });
  EXPECT_THAT(results, testing::Each("a b0|a b1|a b2|no space on 178go on"));
}

TEST(Communicator, OfOneProcessSaysWhatItWasTold) {
  EXPECT_EQ(alone().size(), 1);
  EXPECT_EQ(alone().all_gather(std::string("a")), std::vector<std::string>{"a"});
  EXPECT_EQ(alone().broadcast(2.5), 2.5);
  EXPECT_EQ(alone().exchange("a"), std::vector<std::string>{"a"});
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
