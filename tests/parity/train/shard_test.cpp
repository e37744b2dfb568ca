// Ranks that share out masters and moments make the updates of one process, from whatever it left.
#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include "ddro/base/error.h"
#include "support/on_ranks.h"
#include "train/exchange_parts.h"
#include "train/reduce_gradients.h"
#include "unit/train/two_parameters.h"

namespace ddro::train {
namespace {

using test::TwoParameters;

TEST(Parts, AreBlocksThatCoverAllNumbersOnce) {
  for (const std::int64_t numbers : {1, 255, 256, 257, 1023, 4096, 100'000}) {
    for (const int num_ranks : {1, 2, 3, 8}) {
      std::int64_t end = 0;
      for (int rank = 0; rank < num_ranks; ++rank) {
        const Part part = part_of(numbers, num_ranks, rank);
        EXPECT_EQ(part.begin, end);
        EXPECT_TRUE(part.size == 0 || part.begin % 256 == 0);
        EXPECT_LE(part.size, part_capacity(numbers, num_ranks));
        end += part.size;
      }
      EXPECT_EQ(end, numbers);
      EXPECT_LT(part_capacity(numbers, num_ranks), numbers / num_ranks + 257);
    }
  }
}

std::string bytes_of(const Tensor& tensor) {
  const Tensor flat = tensor.detach().contiguous();
  return {static_cast<const char*>(flat.const_data_ptr()), flat.nbytes()};
}

struct Case {
  at::ScalarType dtype;
  MomentDType moments;
  Optim optim = Optim::kAdamW;
};

// A model in training. All ranks have the model; rank 0 alone adds to the gradients, so that their sum is
// exact.
class Trainee {
 public:
  Trainee(const Case& c, const dist::Communicator& ranks, dist::Shard shard)
      : model_(c.dtype),
        parameters_(model_, model_.initial(), ranks, shard),
        optimizer_(parameters_, {.optim = c.optim, .weight_decay = 0.1, .moment_dtype = c.moments}) {}

  void step(int number) {
    parameters_.zero_gradients();
    for (const Parameter& entry : parameters_.entries()) {
      const Tensor numbers = at::arange(entry.compute.numel(), at::kDouble) * 0.7 + number;
      if (parameters_.ranks().is_first()) entry.gradient.add_(numbers.sin().view_as(entry.gradient));
    }
    reduce_gradients(parameters_);
    norms_ += printable(parameters_.gradient_norm(), "%.5g ");  // its last digits depend on the parts
    optimizer_.step(1e-2, /*gradient_scale=*/0.5);
  }

  // What the model computes with, behind the norms of the steps.
  std::string weights() const {
    std::string all = norms_;
    for (const auto& [name, weight] : model_.parameters()) all += bytes_of(weight);
    return all;
  }

  // As a checkpoint has it: masters, then moments. Of the first rank.
  std::pair<NamedTensors, NamedTensors> state() const {
    std::pair<NamedTensors, NamedTensors> state;
    for (const auto& [tensors, whole] :
         {std::pair{parameters_.state(), &state.first}, std::pair{optimizer_.state(), &state.second}}) {
      lend_whole(tensors, parameters_.ranks(), [&](const TensorSources& sources) {
        for (const TensorSource& source : sources) whole->emplace_back(source.name, source.fetch());
      });
    }
    return state;
  }
  std::string state_bytes() const {
    std::string all;
    const auto [masters, moments] = state();
    for (const NamedTensors& tensors : {masters, moments}) {
      for (const auto& [name, tensor] : tensors) all += name + bytes_of(tensor);
    }
    return all;
  }

  void load(const std::pair<NamedTensors, NamedTensors>& state) {
    parameters_.load_masters(state.first, "test");
    optimizer_.load(state.second, "test");
  }

 private:
  TwoParameters model_;
  Parameters parameters_;
  Optimizer optimizer_;
  std::string norms_;
};

class Sharded : public testing::TestWithParam<Case> {};

TEST_P(Sharded, UpdatesGiveTheBitsOfOneProcess) {
  Trainee one(GetParam(), dist::alone(), dist::Shard::kNone);
  for (int i = 1; i <= 3; ++i) one.step(i);
  for (const auto shard : {dist::Shard::kNone, dist::Shard::kOptimizer}) {
    for (const int size : {2, 4}) {
      const auto results = test::on_ranks(size, [&](const dist::Communicator& ranks) {
        Trainee run(GetParam(), ranks, shard);
        for (int i = 1; i <= 3; ++i) run.step(i);
        const std::string state = run.state_bytes();
        return run.weights() + state;
      });
      EXPECT_EQ(results[0], one.weights() + one.state_bytes()) << enum_name(shard) << size;
      for (int rank = 1; rank < size; ++rank)
        EXPECT_THAT(results[static_cast<size_t>(rank)], testing::StartsWith(one.weights())) << rank;
    }
  }
}

// One process, then ranks with parts, then ranks without, then one process again.
TEST_P(Sharded, StatesGoOnInAnyNumberOfRanks) {
  Trainee one(GetParam(), dist::alone(), dist::Shard::kNone);
  for (int i = 1; i <= 4; ++i) one.step(i);
  Trainee begun(GetParam(), dist::alone(), dist::Shard::kNone);
  begun.step(1);
  auto state = begun.state();
  int next = 2;
  for (const auto& [size, shard] :
       {std::pair{3, dist::Shard::kOptimizer}, std::pair{2, dist::Shard::kNone}}) {
    const auto results = test::on_ranks(size, [&, shard = shard](const dist::Communicator& ranks) {
      Trainee run(GetParam(), ranks, shard);
      run.load(state);
      run.step(next);
      return run.state_bytes();
    });
    Trainee read(GetParam(), dist::alone(), dist::Shard::kNone);
    auto place = results[0].begin();
    state = read.state();
    for (NamedTensors* tensors : {&state.first, &state.second}) {
      for (auto& [name, tensor] : *tensors) {
        place += static_cast<std::ptrdiff_t>(name.size());
        tensor = tensor.detach().clone();
        std::copy_n(place, tensor.nbytes(), static_cast<char*>(tensor.data_ptr()));
        place += static_cast<std::ptrdiff_t>(tensor.nbytes());
      }
    }
    EXPECT_EQ(place, results[0].end());
    ++next;
  }
  Trainee last(GetParam(), dist::alone(), dist::Shard::kNone);
  last.load(state);
  last.step(next);
  EXPECT_EQ(last.state_bytes(), one.state_bytes());
}

INSTANTIATE_TEST_SUITE_P(Types, Sharded,
                         testing::Values(Case{at::kDouble, MomentDType::kFloat32},
                                         Case{at::kFloat, MomentDType::kFloat32},
                                         Case{at::kBFloat16, MomentDType::kFloat32},
                                         Case{at::kFloat, MomentDType::kBFloat16},
                                         Case{at::kBFloat16, MomentDType::kFloat8},
                                         Case{at::kFloat, MomentDType::kFloat32, Optim::kSgd},
                                         Case{at::kBFloat16, MomentDType::kFloat8, Optim::kLion}),
                         [](const testing::TestParamInfo<Case>& entry) {
                           return std::string(enum_name(entry.param.optim)) + "_" +
                                  dtype_label(entry.param.dtype) + "_moments_" +
                                  enum_name(entry.param.moments);
                         });

TEST(Sharded, EachRankHasItsPartAlone) {
  const auto results = test::on_ranks(4, [](const dist::Communicator& ranks) {
    const TwoParameters model(at::kBFloat16);
    Parameters parameters(model, model.initial(), ranks, dist::Shard::kOptimizer);
    const Optimizer optimizer(parameters, {.moment_dtype = MomentDType::kFloat8});
    std::string sizes;
    for (const auto& [name, master] : parameters.masters()) sizes += std::to_string(master.nbytes()) + " ";
    for (const auto& [name, own] : test::own_tensors(optimizer.state()))
      sizes += std::to_string(own.nbytes()) + " ";
    return sizes;
  });
  // Of 31 x 33 numbers and of 33: masters of four bytes, codes of one, an exponent for each 256; the step.
  EXPECT_EQ(results[0], "1024 132 256 1 256 1 33 1 33 1 8 ");
  EXPECT_EQ(results[3], "1020 0 255 1 255 1 0 0 0 0 8 ");
}

// Masters and short moments of a model in training, and the number of updates, which no rank has a part of.
StateTensors state_after_a_step(const dist::Communicator& ranks, Parameters& parameters,
                                Optimizer& optimizer) {
  for (const Parameter& entry : parameters.entries()) {
    if (ranks.is_first()) entry.gradient.copy_(entry.compute * 3);
  }
  reduce_gradients(parameters);
  optimizer.step(1e-2, 1);
  StateTensors all = parameters.state();
  for (StateTensor& tensor : optimizer.state()) all.push_back(std::move(tensor));
  EXPECT_EQ(all.size(), 11u);  // of both parameters a master, codes and exponents of two moments; the step
  return all;
}

TEST(LendWhole, GivesEachRankItsShareOfWholeTensors) {
  const auto lent = [](const dist::Communicator& ranks, const std::function<bool(int)>& is_asked) {
    const TwoParameters model;
    Parameters parameters(model, model.initial(), ranks, dist::Shard::kOptimizer);
    Optimizer optimizer(parameters, {.moment_dtype = MomentDType::kFloat8});
    const StateTensors state = state_after_a_step(ranks, parameters, optimizer);
    const std::vector<int> rank_of = share_out(state, 3);
    std::string all;
    const auto use = [&](const TensorSources& sources) {
      for (const TensorSource& source : sources) all += source.name + bytes_of(source.fetch()) + ";";
    };
    if (ranks.size() > 1) {
      lend_whole(state, rank_of, ranks, use);
      return all;
    }
    for (size_t i = 0; i < state.size(); ++i) {
      if (is_asked(rank_of[i])) all += state[i].name + bytes_of(state[i].own) + ";";
    }
    return all;
  };
  const auto results = test::on_ranks(3, [&](const dist::Communicator& ranks) { return lent(ranks, {}); });
  for (int rank = 0; rank < 3; ++rank) {
    const std::string expected = lent(dist::alone(), [&](int of) { return of == rank; });
    EXPECT_EQ(results[static_cast<size_t>(rank)], expected) << rank;
    EXPECT_FALSE(expected.empty());
  }
}

TEST(LendWhole, GivesTheFirstRankAllInAnyOrder) {
  const auto lent = [](const dist::Communicator& ranks) {
    const TwoParameters model;
    const Parameters parameters(model, model.initial(), ranks, dist::Shard::kOptimizer);
    std::string all;
    lend_whole(parameters.state(), ranks, [&](const TensorSources& sources) {
      for (const size_t i : {1, 0, 1}) all += sources[i].name + bytes_of(sources[i].fetch()) + ";";
    });
    return all;
  };
  const std::string expected = lent(dist::alone());
  EXPECT_FALSE(expected.empty());
  EXPECT_THAT(test::on_ranks(3, lent), testing::ElementsAre(expected, "", ""));
}

TEST(LendWhole, RefusesAnotherOrder) {
  const TwoParameters model;
  const Parameters parameters(model, model.initial());
  EXPECT_THROW(lend_whole(parameters.state(), std::vector<int>(2), dist::alone(),
                          [](const TensorSources& sources) { sources[1].fetch(); }),
               Error);
}

// A disk that is full ends no wait of the others.
TEST(LendWhole, LetsTheOthersGoOnWhenItsUseFails) {
  const auto results = test::on_ranks(3, [](const dist::Communicator& ranks) {
    const TwoParameters model;
    Parameters parameters(model, model.initial(), ranks, dist::Shard::kOptimizer);
    std::string said;
    try {
      lend_whole(parameters.state(), ranks, [](const TensorSources& sources) {
        sources[0].fetch();
        throw save_error("full");
      });
    } catch (const Error& error) {
      said = error.what();
    }
    return said + ranks.broadcast(std::string(" after it"));
  });
  EXPECT_THAT(results, testing::ElementsAre("full after it", " after it", " after it"));
}

// Longer than what travels at once, with a part that others have none of.
TEST(ExchangeParts, SpreadsLongTensorsOverSeveralTrips) {
  const auto results = test::on_ranks(3, [](const dist::Communicator& ranks) {
    const std::int64_t numbers = (std::int64_t{1} << 24) + 1000;
    const Tensor tensor = at::full({numbers}, ranks.rank() + 1, at::kFloat);
    const Tensor small = at::full({5}, ranks.rank() + 1, at::kDouble);
    reduce_scatter_parts({tensor, small}, ranks);
    all_gather_parts({tensor, small}, ranks);
    return std::string(tensor.eq(6).all().item<bool>() && small.eq(6).all().item<bool>() ? "sum" : "wrong");
  });
  EXPECT_THAT(results, testing::Each("sum"));
}

// Long and short tensors alike: 1 + 2^-24 + 2^-24 is 1 in float32 from left to right, and more from right to
// left.
TEST(ExchangeParts, AddUpInTheOrderOfTheRanks) {
  const auto results = test::on_ranks(3, [](const dist::Communicator& ranks) {
    std::string sums;
    for (const std::int64_t numbers : {3 * 256, 3 * 65536}) {
      const Tensor tensor = at::full({numbers}, ranks.is_first() ? 1.0 : 0x1p-24, at::kFloat);
      reduce_scatter_parts({tensor}, ranks);
      all_gather_parts({tensor}, ranks);
      sums += tensor.eq(1).all().item<bool>() ? "in order " : "in another ";
    }
    return sums;
  });
  EXPECT_THAT(results, testing::Each("in order in order "));
}

}  // namespace
}  // namespace ddro::train
