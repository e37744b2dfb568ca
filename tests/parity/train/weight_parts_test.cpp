// A model of whose weights each rank has a part.
#include "ddro/train/weight_parts.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include <limits>
#include <unordered_map>

#include "ddro/base/error.h"
#include "ddro/models/weight_units.h"
#include "ddro/train/finite.h"
#include "ddro/train/parameters.h"
#include "ddro/train/score.h"
#include "support/on_ranks.h"
#include "support/tiny_model.h"

namespace ddro::train {
namespace {

std::unique_ptr<models::CausalLm> model_in_parts(const models::ModelSpec& spec, at::ScalarType dtype,
                                                 const dist::Communicator& ranks) {
  return models::make_causal_lm(
      spec, test::tiny_weights(spec, 1),
      {.dtype = dtype, .trainable = true, .store = std::make_shared<WeightParts>(ranks)});
}

size_t memory_of(const NamedTensors& tensors) {
  size_t bytes = 0;
  for (const auto& [name, tensor] : tensors) bytes += tensor.storage().nbytes();
  return bytes;
}

// What a model has of each unit while it is gathered.
std::string gathered(const models::CausalLm& model, const models::ModelSpec& spec) {
  const std::unordered_map<std::string, Tensor> by_name(model.parameters().begin(), model.parameters().end());
  std::string all;
  const auto units = models::units_of(spec);
  for (size_t unit = 0; unit < units.size(); ++unit) {
    model.weight_store()->gather(unit);
    for (const auto& each : units[unit]) {
      const Tensor& weight = by_name.at(each.name);
      all.append(static_cast<const char*>(weight.const_data_ptr()), weight.nbytes());
    }
    model.weight_store()->release(unit);
  }
  return all;
}

TEST(WeightParts, GatherWhatTheModelWasBuiltOf) {
  for (const bool tied : {true, false}) {
    const models::ModelSpec spec = test::tiny_spec(tied);
    const NamedTensors weights = test::tiny_weights(spec, 1);
    const std::unordered_map<std::string, Tensor> by_name(weights.begin(), weights.end());
    std::string expected;
    for (const auto& unit : models::units_of(spec)) {
      for (const auto& each : unit) {
        const Tensor weight = by_name.at(each.name).to(at::kBFloat16);
        expected.append(static_cast<const char*>(weight.const_data_ptr()), weight.nbytes());
      }
    }
    const auto results = test::on_ranks(3, [&](const dist::Communicator& ranks) {
      const auto model = model_in_parts(spec, at::kBFloat16, ranks);
      const std::string all = gathered(*model, spec);
      return memory_of(model->parameters()) == 0 ? all : "not released";
    });
    EXPECT_THAT(results, testing::Each(expected)) << tied;
  }
}

// Parts that go straight to where they belong, and one that is too short for the last rank.
TEST(WeightParts, GatherAndAddUpLongTensors) {
  const auto results = test::on_ranks(3, [](const dist::Communicator& ranks) {
    WeightParts store(ranks);
    const Tensor numbers = at::arange(200'000, at::kFloat);
    std::vector<Tensor> weights, gradients, sums;
    for (size_t unit = 0; unit < 2; ++unit) {
      const std::string name = std::to_string(unit);
      weights.push_back(numbers + unit);
      store.take(unit, name, weights[unit]);
      gradients.push_back(at::empty_like(numbers));
      sums.push_back(at::ones_like(store.part(name)));
      store.keep_gradient(name, gradients[unit], sums[unit]);
    }
    store.begin_forward();
    for (size_t unit = 0; unit < 2; ++unit) {
      store.gather(unit);
      EXPECT_TRUE(weights[unit].equal(numbers + unit));
      store.release(unit);
    }
    for (size_t unit = 2; unit-- > 0;) {
      store.begin_gradients(unit);
      gradients[unit].add_(numbers, ranks.rank() + 1);
      store.end_gradients(unit);
    }
    bool right = true;
    for (size_t unit = 0; unit < 2; ++unit)
      right = right && sums[unit].equal(6 * (store.part(std::to_string(unit)) - unit) + 1);
    return std::string(right ? "right" : "wrong");
  });
  EXPECT_THAT(results, testing::Each("right"));
}

// In units of 256 numbers: the norms of 32 are the first rank's.
TEST(WeightParts, AreAllThatARankHas) {
  const auto results = test::on_ranks(2, [](const dist::Communicator& ranks) {
    const models::ModelSpec spec = test::tiny_spec(/*tied=*/false);
    const auto model = model_in_parts(spec, at::kBFloat16, ranks);
    const Parameters parameters(*model, test::tiny_weights(spec, 1), ranks, dist::Shard::kFull);
    std::int64_t weights = 0, gradients = 0, masters = 0;
    size_t whole = memory_of(model->parameters());
    for (const Parameter& entry : parameters.entries()) {
      weights += entry.own_compute.numel();
      gradients += entry.own_gradient.numel();
      masters += entry.master.numel();
      whole += entry.gradient.storage().nbytes();
    }
    std::string numbers;
    for (const std::int64_t each : {parameters.size(), weights, gradients, masters})
      numbers += std::to_string(each) + " ";
    return numbers + std::to_string(whole);
  });
  // 97 x 32 twice as 1792 + 1312; 2 x (32 x 32 twice, 16 x 32 twice, 48 x 32 thrice), halved; 5 norms.
  constexpr int kLayers = 2 * (2 * 1024 + 2 * 512 + 3 * 1536) / 2;
  const std::string first = std::to_string(2 * 1792 + kLayers + 5 * 32) + " ";
  const std::string second = std::to_string(2 * 1312 + kLayers) + " ";
  EXPECT_EQ(results[0], "21728 " + first + first + first + "0");
  EXPECT_EQ(results[1], "21728 " + second + second + second + "0");
}

// Three micro-batches for four ranks, then two more for the first alone.
TEST(WeightParts, ScoreWhatHasFewerRowsThanRanks) {
  const data::Dataset dataset = test::random_dataset(3, /*paired=*/false, 10);
  const data::StepPlan all =
      data::plan_step(dataset, std::vector<std::int64_t>{0, 1, 2}, {.micro_batch_tokens = 1});
  const data::StepPlan two =
      data::plan_step(dataset, std::vector<std::int64_t>{3, 4}, {.micro_batch_tokens = 1});
  const auto scores = [&](const models::CausalLm& model, const dist::Communicator& ranks) {
    const ModelLogProbs log_probs(model);
    std::string text;
    const auto add = [&](const std::vector<double>& values) {
      for (const double value : values) text += printable(value, "%.9g ");
    };
    add(*score(log_probs, all, at::kCPU, {.ranks = ranks}));
    on_first_rank(model, ranks, [&] { add(*score(log_probs, two, at::kCPU)); });
    add(*score(log_probs, all, at::kCPU, {.ranks = ranks}));
    return text;
  };
  const auto results = test::on_ranks(4, [&](const dist::Communicator& ranks) {
    return scores(*model_in_parts(test::tiny_spec(), at::kDouble, ranks), ranks);
  });
  const std::string expected =
      scores(*test::tiny_model(test::tiny_spec(), 1, at::kDouble, /*trainable=*/false), dist::alone());
  EXPECT_EQ(results[0], expected);
  for (int rank = 1; rank < 4; ++rank) EXPECT_LT(results[static_cast<size_t>(rank)].size(), expected.size());
}

// Found by the rank that has it, named by all.
TEST(NonFiniteOrigin, MayBeInThePartOfAnotherRank) {
  const auto results = test::on_ranks(2, [](const dist::Communicator& ranks) {
    const models::ModelSpec spec = test::tiny_spec();
    const auto model = model_in_parts(spec, at::kFloat, ranks);
    const Parameters parameters(*model, test::tiny_weights(spec, 1), ranks, dist::Shard::kFull);
    const Parameter& first = parameters.entries()[0];
    std::string said = non_finite_origin(parameters) + ";";
    if (ranks.rank() == 1) first.own_gradient[7] = std::numeric_limits<float>::infinity();
    said += non_finite_origin(parameters) + ";";
    if (ranks.rank() == 1) first.own_compute[5] = std::numeric_limits<float>::infinity();
    return said + non_finite_origin(parameters);
  });
  EXPECT_THAT(results, testing::Each(";the gradient of model.embed_tokens.weight;"
                                     "the weights model.embed_tokens.weight"));
}

}  // namespace
}  // namespace ddro::train
