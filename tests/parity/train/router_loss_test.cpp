// The loss that balances experts against transformers: its value and its part of the gradient, however a step
// is cut into micro-batches and whatever its sequences share.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <numeric>

#include "ddro/train/step.h"
#include "parity/models/fixture_models.h"

namespace ddro::test {
namespace {

// The fixture's sequences as unpaired rows, but that of one token, which has no completion.
data::Dataset rows_of(const std::vector<Sequence>& sequences) {
  data::Dataset dataset;
  dataset.kind = data::RowKind::kUnpaired;
  for (const Sequence& tokens : sequences) {
    if (tokens.size() < 2) continue;
    data::EncodedSequence sequence;
    sequence.ids = std::vector<text::TokenId>(tokens.begin(), tokens.end());
    sequence.completion_start = 3;
    data::EncodedExample example;
    example.row = static_cast<std::int64_t>(dataset.examples.size());
    example.sequences.push_back(std::move(sequence));
    dataset.examples.push_back(std::move(example));
    dataset.wheres.push_back("row " + std::to_string(dataset.examples.size()));
  }
  return dataset;
}

struct Step {
  std::optional<double> aux_loss;
  double loss = 0;
  std::map<std::string, Tensor> gradients;
};

Step run_step(const std::string& name, double coefficient, const data::PackOptions& pack,
              bool checkpointing = false) {
  const models::ModelFolder folder = models::open_model_folder(model_fixture(name));
  const auto model = models::make_causal_lm(folder.spec, folder.tensors,
                                            {.dtype = at::kDouble, .gradient_checkpointing = checkpointing});
  const data::Dataset dataset = rows_of(read_expected(name).sequences);
  std::vector<std::int64_t> all(dataset.examples.size());
  std::iota(all.begin(), all.end(), 0);
  const data::StepPlan plan = data::plan_step(dataset, all, pack);
  train::Parameters parameters(*model, folder.tensors);
  parameters.zero_gradients();
  losses::ObjectiveOptions options;
  options.loss_type = losses::LossType::kSft;
  const auto objective = losses::make_objective(options, 0.5);
  const train::StepResult result =
      train::compute_step(*model, nullptr, plan, plan.counts, *objective, parameters, coefficient);
  Step step{result.aux_loss, result.loss, {}};
  for (const auto& [parameter, tensor] : model->parameters())
    step.gradients[parameter] = parameters.gradient(parameter).clone();
  return step;
}

// Gradient of coefficient * aux_loss: what a step has with it and not without.
void expect_transformers(const std::string& name, const data::PackOptions& pack, bool checkpointing = false) {
  constexpr double kCoefficient = 0.7;
  const Expected expected = read_expected(name);
  const Step with = run_step(name, kCoefficient, pack, checkpointing);
  const Step without = run_step(name, 0, pack, checkpointing);
  const double aux_loss = expected.values.at("float64.aux_loss").item<double>();
  ASSERT_TRUE(with.aux_loss);
  EXPECT_NEAR(*with.aux_loss, aux_loss, 1e-10 * aux_loss);
  EXPECT_NEAR(with.loss - without.loss, kCoefficient * aux_loss, 1e-9);
  EXPECT_FALSE(without.aux_loss);
  double largest = 0;
  for (const auto& [parameter, gradient] : with.gradients)
    largest = std::max(largest, expected.values.at("float64.aux_grad." + parameter).norm().item<double>());
  for (const auto& [parameter, gradient] : with.gradients) {
    const Tensor got = (gradient - without.gradients.at(parameter)) / kCoefficient;
    const double error = (got - expected.values.at("float64.aux_grad." + parameter)).norm().item<double>();
    EXPECT_LE(error, 1e-9 * largest) << parameter;
  }
}

class RouterLoss : public testing::TestWithParam<std::string> {};

TEST_P(RouterLoss, EqualsTransformersInOneMicroBatch) { expect_transformers(GetParam(), {}); }

TEST_P(RouterLoss, IsOfTheWholeStepHoweverItIsCut) {
  expect_transformers(GetParam(), {.micro_batch_tokens = 12, .min_shared_tokens = 1000});
}

TEST_P(RouterLoss, CountsATokenForEachRowThatHasIt) {
  expect_transformers(GetParam(), {.min_shared_tokens = 2});
}

TEST_P(RouterLoss, IsTheSameWithRecomputation) {
  expect_transformers(GetParam(), {}, /*checkpointing=*/true);
}

INSTANTIATE_TEST_SUITE_P(Models, RouterLoss, testing::ValuesIn(kRouterLossFixtures),
                         [](const auto& each) { return each.param; });

}  // namespace
}  // namespace ddro::test
