// However a step is cut, packed or shared, its loss and gradients are those of the composed definition:
// logits of each sequence alone, log-softmax, the objective, autograd.
#include "ddro/train/step.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <gmock/gmock.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>
#include <numeric>

#include "ddro/train/mismatched_completions.h"
#include "support/scored_apart.h"
#include "support/tiny_model.h"

namespace ddro::train {
namespace {

using losses::LossType;

losses::ObjectiveOptions objective_options(LossType type,
                                           losses::Stabilizer stabilizer = losses::Stabilizer::kCap) {
  losses::ObjectiveOptions options;
  options.loss_type = type;
  options.stabilizer = stabilizer;
  if (type == LossType::kDdro || type == LossType::kRdro) options.alpha = 0.4;
  if (type == LossType::kSimpo) options.cpo_alpha = 0.5;
  return options;
}

struct Gradients {
  double loss = 0;
  std::vector<losses::ScoredCompletion> completions;
  NamedTensors tensors;
};

Gradients run_step(const models::CausalLm& policy, const LogProbs& reference, const data::Dataset& dataset,
                   const losses::Objective& objective, data::PackOptions pack,
                   std::int64_t* num_micro_batches = nullptr) {
  std::vector<std::int64_t> all(dataset.examples.size());
  std::iota(all.begin(), all.end(), 0);
  const data::StepPlan plan = data::plan_step(dataset, all, pack);
  if (num_micro_batches != nullptr) *num_micro_batches = static_cast<std::int64_t>(plan.micro_batches.size());
  Parameters parameters(policy, policy.parameters());
  parameters.zero_gradients();
  BatchCounts counts = plan.counts;
  if (objective.needs_mismatched()) {
    MismatchedCompletions mismatched(dataset, all, policy.spec(), pack);
    counts.kl = *mismatched.kl(policy, reference, [] { return false; });
  }
  StepResult result = compute_step(policy, &reference, plan, counts, objective, parameters);
  Gradients out;
  out.loss = result.loss;
  out.completions = std::move(result.completions);
  for (const auto& [name, tensor] : policy.parameters())
    out.tensors.emplace_back(name, parameters.gradient(name).clone());
  return out;
}

// Log-probability of a completion from the logits of its sequence alone, with autograd.
Tensor composed_logp(const models::CausalLm& model, const data::EncodedSequence& sequence) {
  const auto length = static_cast<std::int64_t>(sequence.ids.size());
  std::vector<std::int64_t> ids(sequence.ids.begin(), sequence.ids.end());
  const Tensor ids_T = at::tensor(ids, at::kLong);
  const ops::AttentionLayout layout({{0, length}}, at::kCPU);
  models::ModelInput input;
  input.ids_T = ids_T;
  input.positions_T = at::arange(length, at::kLong);
  input.layout = &layout;
  input.output_positions_C = at::arange(sequence.completion_start - 1, length - 1, at::kLong);
  const Tensor logits_CV = at::matmul(model.hidden(input), model.head_weight().t());
  const Tensor targets_C = ids_T.slice(0, sequence.completion_start);
  return at::log_softmax(logits_CV, -1).gather(1, targets_C.unsqueeze(1)).sum();
}

// max(0, mean log-ratio of each completion's prompt with the completion of the same place in the example
// before).
double composed_kl(const models::CausalLm& policy, const models::CausalLm& reference,
                   const data::Dataset& dataset) {
  const at::NoGradGuard no_grad;
  double sum = 0;
  double weight = 0;
  for (size_t i = 0; i < dataset.examples.size(); ++i) {
    const data::EncodedExample& before =
        dataset.examples[(i + dataset.examples.size() - 1) % dataset.examples.size()];
    for (size_t j = 0; j < dataset.examples[i].sequences.size(); ++j) {
      data::EncodedSequence sequence = dataset.examples[i].sequences[j];
      const data::EncodedSequence& other = before.sequences[j];
      std::vector<text::TokenId> ids(sequence.ids.begin(), sequence.ids.begin() + sequence.completion_start);
      ids.insert(ids.end(), other.ids.begin() + other.completion_start, other.ids.end());
      sequence.ids = ids;
      const Tensor log_ratio = composed_logp(policy, sequence) - composed_logp(reference, sequence);
      sum += dataset.examples[i].weight * log_ratio.item<double>();
      weight += dataset.examples[i].weight;
    }
  }
  return std::max(0.0, sum / weight);
}

Gradients composed(const models::CausalLm& policy, const models::CausalLm& reference,
                   const data::Dataset& dataset, const losses::Objective& objective) {
  Gradients out;
  std::vector<Tensor> logps;
  BatchCounts counts;
  for (const data::EncodedExample& example : dataset.examples) {
    const auto first = static_cast<std::int64_t>(out.completions.size());
    for (const data::EncodedSequence& sequence : example.sequences) {
      const Tensor logp = composed_logp(policy, sequence);
      losses::ScoredCompletion completion;
      completion.logp = logp.item<double>();
      completion.ref_logp = composed_logp(reference, sequence).item<double>();
      completion.chosen = sequence.completion_class == data::CompletionClass::kChosen;
      completion.weight = example.weight;
      completion.num_tokens = sequence.num_completion_tokens();
      if (example.is_pair()) completion.partner = first + (completion.chosen ? 1 : 0);
      (completion.chosen ? counts.chosen : counts.rejected) += completion.weight;
      if (completion.chosen)
        counts.chosen_tokens += completion.weight * static_cast<double>(completion.num_tokens);
      counts.rejected_seen = counts.rejected;
      out.completions.push_back(completion);
      logps.push_back(logp);
    }
    if (example.is_pair()) counts.pairs += example.weight;
  }
  if (objective.needs_mismatched()) {
    counts.kl = composed_kl(policy, reference, dataset);
    EXPECT_GT(counts.kl, 0) << "not told from no reference point";
  }
  std::vector<double> loss(out.completions.size());
  std::vector<double> derivative(out.completions.size());
  objective.evaluate(out.completions, counts, loss, derivative);
  out.loss = std::accumulate(loss.begin(), loss.end(), 0.0);
  std::vector<Tensor> parameters;
  for (const auto& [name, tensor] : policy.parameters()) parameters.push_back(tensor);
  Tensor surrogate = at::zeros({}, logps[0].options());
  for (size_t i = 0; i < logps.size(); ++i) surrogate = surrogate + logps[i] * derivative[i];
  const auto gradients = torch::autograd::grad({surrogate}, parameters);
  for (size_t i = 0; i < gradients.size(); ++i)
    out.tensors.emplace_back(policy.parameters()[i].first, gradients[i]);
  return out;
}

double relative_error(const Tensor& got, const Tensor& expected) {
  const Tensor difference = got.to(at::kDouble) - expected.to(at::kDouble);
  return difference.norm().item<double>() / expected.to(at::kDouble).norm().item<double>();
}

// Against float64 truth: within `tolerance`, or within twice what the composed definition itself errs by in
// the same type.
void expect_equal(const Gradients& got, const Gradients& expected, const Gradients& composed_in_type,
                  double tolerance, const std::string& what) {
  EXPECT_NEAR(got.loss, expected.loss, tolerance * std::max(1.0, std::fabs(expected.loss)) * 10) << what;
  ASSERT_EQ(got.tensors.size(), expected.tensors.size());
  for (size_t i = 0; i < got.tensors.size(); ++i) {
    const auto& [name, truth] = expected.tensors[i];
    EXPECT_GT(truth.norm().item<double>(), 0) << what << " " << name;
    const double allowed = std::max(tolerance, 2 * relative_error(composed_in_type.tensors[i].second, truth));
    EXPECT_LE(relative_error(got.tensors[i].second, truth), allowed) << what << " " << name;
  }
}

struct Case {
  std::string name;
  LossType type;
  losses::Stabilizer stabilizer;
  bool paired;
  bool tied;
  at::ScalarType dtype;
  double tolerance;
};

class StepParity : public testing::TestWithParam<Case> {};

TEST_P(StepParity, EqualsTheComposedDefinitionHoweverItIsCut) {
  const Case& c = GetParam();
  const auto policy = test::tiny_model(test::tiny_spec(c.tied), 1, c.dtype, /*trainable=*/true);
  const auto reference = test::tiny_model(test::tiny_spec(c.tied), 2, c.dtype, /*trainable=*/false);
  const auto exact_policy = test::tiny_model(test::tiny_spec(c.tied), 1, at::kDouble, /*trainable=*/true);
  const auto exact_reference = test::tiny_model(test::tiny_spec(c.tied), 2, at::kDouble, /*trainable=*/false);
  const data::Dataset dataset = test::random_dataset(8, c.paired, 10);
  const auto objective = losses::make_objective(objective_options(c.type, c.stabilizer), 0.5);
  const Gradients expected = composed(*exact_policy, *exact_reference, dataset, *objective);
  const Gradients in_type = composed(*policy, *reference, dataset, *objective);

  std::int64_t whole = 0, pieces = 0, single = 0;
  const auto run = [&](std::int64_t tokens, std::int64_t shared, std::int64_t* count) {
    return run_step(*policy, ModelLogProbs(*reference), dataset, *objective,
                    {.micro_batch_tokens = tokens, .min_shared_tokens = shared}, count);
  };
  expect_equal(run(1 << 20, 1, &whole), expected, in_type, c.tolerance,
               "one micro-batch, all beginnings shared");
  expect_equal(run(1 << 20, 4, nullptr), expected, in_type, c.tolerance, "one micro-batch, long beginnings");
  expect_equal(run(1 << 20, 1 << 20, nullptr), expected, in_type, c.tolerance,
               "one micro-batch, nothing shared");
  expect_equal(run(40, 1, &pieces), expected, in_type, c.tolerance, "several micro-batches");
  // Pairs are split over micro-batches here, and each micro-batch holds one class only.
  expect_equal(run(1, 1, &single), expected, in_type, c.tolerance, "one completion a micro-batch");
  EXPECT_EQ(whole, 1);
  EXPECT_GT(pieces, 2);
  EXPECT_EQ(single, 16);
}

std::vector<Case> cases() {
  std::vector<Case> all;
  for (const auto& [dtype, tolerance] : {std::pair{at::kDouble, 1e-12}, std::pair{at::kFloat, 2e-6}}) {
    const std::string type_name = dtype == at::kDouble ? "_float64" : "_float32";
    for (const LossType type : {LossType::kDdro, LossType::kRdro, LossType::kSigmoid, LossType::kSft}) {
      all.push_back({losses::loss_name(type) + type_name, type, losses::Stabilizer::kCap, true,
                     type != LossType::kRdro, dtype, tolerance});
    }
    // A reward without reference, one of token means, one that needs the whole step first, a number of the
    // step.
    for (const LossType type : {LossType::kSimpo, LossType::kIpo, LossType::kBco, LossType::kKto}) {
      all.push_back({losses::loss_name(type) + type_name, type, losses::Stabilizer::kCap, true, true, dtype,
                     tolerance});
    }
    all.push_back({"kto_unpaired" + type_name, LossType::kKto, losses::Stabilizer::kCap, false, true, dtype,
                   tolerance});
    all.push_back({"ddro_unpaired" + type_name, LossType::kDdro, losses::Stabilizer::kCap, false, false,
                   dtype, tolerance});
    all.push_back({"nnbd_unpaired" + type_name, LossType::kDdro, losses::Stabilizer::kNnbd, false, true,
                   dtype, tolerance});
  }
  return all;
}

INSTANTIATE_TEST_SUITE_P(Losses, StepParity, testing::ValuesIn(cases()),
                         [](const testing::TestParamInfo<Case>& entry) { return entry.param.name; });

// A policy that counts its forwards.
class Counted : public models::CausalLm {
 public:
  explicit Counted(const models::CausalLm& model) : model_(model) {}
  Tensor hidden(const models::ModelInput& input) const override {
    ++forwards_;
    return model_.hidden(input);
  }
  const NamedTensors& parameters() const override { return model_.parameters(); }
  Tensor head_weight() const override { return model_.head_weight(); }
  const std::string& head_weight_name() const override { return model_.head_weight_name(); }
  const models::ModelSpec& spec() const override { return model_.spec(); }
  std::int64_t forwards() const { return forwards_; }

 private:
  const models::CausalLm& model_;
  mutable std::int64_t forwards_ = 0;
};

// A loss of the whole step needs its log-probabilities before the first gradient.
TEST(StepForwards, OneWhereAMicroBatchIsAloneOrTheLossIsLocal) {
  const auto policy = test::tiny_model(test::tiny_spec(), 1, at::kFloat, /*trainable=*/true);
  const auto reference = test::tiny_model(test::tiny_spec(), 2, at::kFloat, /*trainable=*/false);
  const data::Dataset dataset = test::random_dataset(8, /*paired=*/true, 10);
  for (const LossType type : {LossType::kDdro, LossType::kBco}) {
    const auto objective = losses::make_objective(objective_options(type), 0.5);
    for (const std::int64_t tokens : {1 << 20, 40}) {
      const Counted counted(*policy);
      std::int64_t micro_batches = 0;
      run_step(counted, ModelLogProbs(*reference), dataset, *objective, {.micro_batch_tokens = tokens},
               &micro_batches);
      const bool twice = type == LossType::kBco && micro_batches > 1;
      EXPECT_EQ(counted.forwards(), (twice ? 2 : 1) * micro_batches)
          << losses::loss_name(type) << " " << tokens;
    }
  }
}

class CachedReference : public testing::TestWithParam<Case> {};

// Values computed beforehand, in other micro-batches, give the live reference's gradients to rounding: either
// is within the tolerance of the truth.
TEST_P(CachedReference, GivesTheGradientsOfTheLiveOne) {
  const Case& c = GetParam();
  const auto policy = test::tiny_model(test::tiny_spec(c.tied), 1, c.dtype, /*trainable=*/true);
  const auto reference = test::tiny_model(test::tiny_spec(c.tied), 2, c.dtype, /*trainable=*/false);
  const data::Dataset dataset = test::random_dataset(8, c.paired, 5);
  const auto objective = losses::make_objective(objective_options(c.type, c.stabilizer), 0.5);
  const LogProbTable table(dataset, test::scored_apart(*reference, dataset));
  for (const std::int64_t tokens : {1 << 20, 40}) {
    const data::PackOptions pack = {.micro_batch_tokens = tokens};
    const Gradients live = run_step(*policy, ModelLogProbs(*reference), dataset, *objective, pack);
    const Gradients cached = run_step(*policy, table, dataset, *objective, pack);
    EXPECT_NEAR(cached.loss, live.loss, 10 * c.tolerance * std::max(1.0, std::fabs(live.loss)));
    for (size_t i = 0; i < live.tensors.size(); ++i) {
      EXPECT_LE(relative_error(cached.tensors[i].second, live.tensors[i].second), 2 * c.tolerance)
          << live.tensors[i].first;
    }
    for (const losses::ScoredCompletion& completion : cached.completions)
      EXPECT_EQ(completion.ref_logp != 0, objective->reads_reference());
  }
}

// All but kto, whose reference stays in memory.
std::vector<Case> cases_with_cache() {
  std::vector<Case> all = cases();
  std::erase_if(all, [](const Case& c) { return c.type == LossType::kKto; });
  return all;
}

INSTANTIATE_TEST_SUITE_P(Losses, CachedReference, testing::ValuesIn(cases_with_cache()),
                         [](const testing::TestParamInfo<Case>& entry) { return entry.param.name; });

class EqualModels : public testing::TestWithParam<at::ScalarType> {};

// Policy and reference of equal weights: log-ratios are exactly 0 in every cut, and the loss is ln 2 a
// completion or pair.
TEST_P(EqualModels, GiveLogRatiosOfExactlyZero) {
  const auto policy = test::tiny_model(test::tiny_spec(), 1, GetParam(), /*trainable=*/true);
  const auto reference = test::tiny_model(test::tiny_spec(), 1, GetParam(), /*trainable=*/false);
  const data::Dataset dataset = test::random_dataset(9, /*paired=*/true, 5);
  for (const LossType type : {LossType::kDdro, LossType::kSigmoid}) {
    losses::ObjectiveOptions options = objective_options(type);
    if (type == LossType::kDdro) options.alpha = 0.5;
    const auto objective = losses::make_objective(options, 0.5);
    for (const std::int64_t tokens : {1, 40, 1 << 20}) {
      const Gradients result =
          run_step(*policy, ModelLogProbs(*reference), dataset, *objective, {.micro_batch_tokens = tokens});
      for (const losses::ScoredCompletion& completion : result.completions)
        EXPECT_EQ(completion.log_ratio(), 0.0) << "micro_batch_tokens " << tokens;
      const double classes = type == LossType::kDdro ? 2 : 1;
      EXPECT_NEAR(result.loss, classes * std::log(2.0), 1e-15 * 16) << losses::loss_name(type);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Types, EqualModels, testing::Values(at::kDouble, at::kFloat, at::kBFloat16),
                         [](const testing::TestParamInfo<at::ScalarType>& entry) {
                           return c10::toString(entry.param);
                         });

}  // namespace
}  // namespace ddro::train
