// A step shared out among ranks gives the loss, the rows and the gradients of one process.
#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <optional>

#include "ddro/models/adapter.h"
#include "ddro/train/mismatched_completions.h"
#include "ddro/train/step.h"
#include "ddro/train/weight_parts.h"
#include "support/on_ranks.h"
#include "support/tiny_model.h"
#include "train/exchange_parts.h"
#include "train/reduce_gradients.h"

namespace ddro::train {
namespace {

using losses::LossType;

struct Case {
  std::string name;
  LossType type;
  at::ScalarType dtype = at::kDouble;
  bool paired = true;
  losses::Stabilizer stabilizer = losses::Stabilizer::kCap;
  std::int64_t num_pairs = 8;
  std::int64_t micro_batch_tokens = 60;  // 1: each row by itself, pairs split
  std::optional<models::AdapterType> adapter = std::nullopt;
  double router_loss = 0;  // above 0: a mixture of experts
  bool tied = true;
  bool gradient_checkpointing = false;
  dist::Shard shard = dist::Shard::kNone;
  std::vector<std::string> modules_to_save = {};  // of the adapter
  at::DeviceType device = at::kCPU;
};

at::Device device_of(const Case& c, const dist::Communicator& ranks) {
  return {c.device, static_cast<c10::DeviceIndex>(c.device == at::kCUDA ? ranks.rank() : -1)};
}

// One whose products all have gradients.
models::Adapter random_adapter(const Case& c, const models::ModelSpec& spec) {
  models::AdapterOptions options;
  options.adapter_type = c.adapter;
  options.r = 4;
  options.lora_alpha = 8;
  options.use_rslora = true;
  options.modules_to_save = c.modules_to_save;
  models::Adapter adapter =
      models::make_adapter(options, spec, test::tiny_weights(spec, 1), "tiny", /*seed=*/3, c.dtype);
  at::manual_seed(4);
  for (auto& [name, tensor] : adapter.tensors)
    tensor = tensor + 0.1 * at::rand(tensor.sizes(), at::kDouble).to(tensor.scalar_type());
  return adapter;
}

models::ModelSpec spec_of(const Case& c) {
  return test::tiny_spec(c.tied, c.router_loss > 0 ? "mixtral" : "llama");
}

std::shared_ptr<models::WeightStore> store_of(const Case& c, const dist::Communicator& ranks) {
  if (c.shard != dist::Shard::kFull || ranks.size() == 1) return nullptr;
  return std::make_shared<WeightParts>(ranks);
}

std::unique_ptr<models::CausalLm> policy_of(const Case& c, const dist::Communicator& ranks) {
  const models::ModelSpec spec = spec_of(c);
  models::BuildOptions options{.device = device_of(c, ranks),
                               .dtype = c.dtype,
                               .trainable = true,
                               .gradient_checkpointing = c.gradient_checkpointing,
                               .store = store_of(c, ranks)};
  if (!c.adapter) return models::make_causal_lm(spec, test::tiny_weights(spec, 1), options);
  const models::Adapter adapter = random_adapter(c, spec);
  options.adapter = &adapter;
  return models::make_causal_lm(spec, test::tiny_weights(spec, 1), options);
}

// Numbers of a step: the loss, logp and ref_logp of each row, then the gradients, parameter by parameter.
struct Numbers {
  std::vector<double> step;
  std::vector<std::vector<double>> gradients;
};

// Whole on all ranks.
std::vector<Tensor> gradients_of(const Parameters& parameters) {
  std::vector<Tensor> gradients;
  for (const Parameter& entry : parameters.entries()) {
    if (!entry.trainable) continue;
    const Tensor whole = at::zeros(entry.compute.sizes(), entry.own_gradient.options());
    whole.view(-1).narrow(0, entry.part.begin, entry.part.size).copy_(entry.own_gradient.view(-1));
    gradients.push_back(whole);
  }
  if (parameters.is_sharded()) all_gather_parts(gradients, parameters.ranks());
  return gradients;
}

Numbers run_step(const Case& c, const dist::Communicator& ranks) {
  const auto policy = policy_of(c, ranks);
  const auto reference_model = models::make_causal_lm(
      spec_of(c), test::tiny_weights(spec_of(c), 2),
      {.device = device_of(c, ranks), .dtype = c.dtype, .trainable = false, .store = store_of(c, ranks)});
  const ModelLogProbs reference(*reference_model);
  const data::Dataset dataset = test::random_dataset(c.num_pairs, c.paired, 10);
  losses::ObjectiveOptions options;
  options.loss_type = c.type;
  options.stabilizer = c.stabilizer;
  if (c.type == LossType::kDdro || c.type == LossType::kRdro) options.alpha = 0.4;
  if (c.type == LossType::kExoPair) options.label_smoothing = 0.1;
  const auto objective = losses::make_objective(options, 0.5);
  std::vector<std::int64_t> all(dataset.examples.size());
  std::iota(all.begin(), all.end(), 0);
  const data::PackOptions pack{.micro_batch_tokens = c.micro_batch_tokens, .num_shares = ranks.size()};
  const data::StepPlan plan = data::plan_step(dataset, all, pack);
  Parameters parameters(*policy, policy->parameters(), ranks, c.shard);
  parameters.zero_gradients();
  BatchCounts counts = plan.counts;
  if (objective->needs_mismatched()) {
    MismatchedCompletions mismatched(dataset, all, policy->spec(), pack);
    counts.kl = *mismatched.kl(
        *policy, reference, [] { return false; }, ranks);
    EXPECT_GT(counts.kl, 0) << "not told from no reference point";
  }
  GradientSums sums(parameters, /*few=*/1);
  const StepResult result = compute_step(*policy, &reference, plan, counts, *objective, parameters,
                                         c.router_loss, ranks, sums.on_complete());
  sums.finish();
  Numbers numbers{{result.loss}, {}};
  for (const losses::ScoredCompletion& row : result.completions)
    numbers.step.insert(numbers.step.end(), {row.logp, row.ref_logp});
  for (const Tensor& gradient : gradients_of(parameters)) {
    const Tensor flat = gradient.to(at::kCPU, at::kDouble).view(-1).contiguous();
    numbers.gradients.emplace_back(flat.const_data_ptr<double>(),
                                   flat.const_data_ptr<double>() + flat.numel());
  }
  return numbers;
}

std::vector<double> all_numbers(const Numbers& numbers) {
  std::vector<double> all = numbers.step;
  for (const auto& gradient : numbers.gradients) all.insert(all.end(), gradient.begin(), gradient.end());
  return all;
}

// The 2-norm of the difference over that of `expected`, of a part of each.
double relative_error(const double* got, const std::vector<double>& expected) {
  double difference = 0, norm = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    difference += (got[i] - expected[i]) * (got[i] - expected[i]);
    norm += expected[i] * expected[i];
  }
  return std::sqrt(difference / norm);
}

// Of the numbers of the step, then of each gradient.
using Tolerances = std::vector<double>;

Tolerances same_for_all(const Numbers& numbers, double tolerance) {
  return Tolerances(1 + numbers.gradients.size(), tolerance);
}

// What other orders of sums may change. In float32 that depends on the kernels that MKL has for the CPU, so
// up to three times what one process is off float64 is taken for it, too.
Tolerances rounding_of(const Case& c, const Numbers& of_one_process) {
  if (c.dtype == at::kDouble) return same_for_all(of_one_process, 1e-12);
  Case exact = c;
  exact.dtype = at::kDouble;
  const Numbers truth = run_step(exact, dist::alone());
  const auto allowed = [](const std::vector<double>& numbers, const std::vector<double>& true_numbers) {
    return std::max(2e-6, 3 * relative_error(numbers.data(), true_numbers));
  };
  Tolerances tolerances = {allowed(of_one_process.step, truth.step)};
  for (size_t i = 0; i < truth.gradients.size(); ++i)
    tolerances.push_back(allowed(of_one_process.gradients[i], truth.gradients[i]));
  return tolerances;
}

void expect_step_of_one_process(const Case& c, const Numbers& expected, int size,
                                const Tolerances& tolerances) {
  const auto results = test::on_ranks(
      size,
      [&](const dist::Communicator& ranks) {
        const std::vector<double> all = all_numbers(run_step(c, ranks));
        return std::string(reinterpret_cast<const char*>(all.data()), all.size() * sizeof(double));
      },
      c.device);
  for (const std::string& result : results) EXPECT_EQ(result, results[0]) << "other bits on another rank";
  ASSERT_EQ(results[0].size(), all_numbers(expected).size() * sizeof(double));
  std::vector<double> got(results[0].size() / sizeof(double));
  std::memcpy(got.data(), results[0].data(), results[0].size());
  EXPECT_LE(relative_error(got.data(), expected.step), tolerances[0]) << size;
  const double* at = got.data() + expected.step.size();
  for (size_t i = 0; i < expected.gradients.size(); ++i) {
    EXPECT_LE(relative_error(at, expected.gradients[i]), tolerances[1 + i])
        << size << " ranks, parameter " << i;
    at += expected.gradients[i].size();
  }
}

class Ranks : public testing::TestWithParam<Case> {};

TEST_P(Ranks, GiveTheStepOfOneProcess) {
  const Case& c = GetParam();
  const Numbers expected = run_step(c, dist::alone());
  const Tolerances tolerances = rounding_of(c, expected);
  for (const int size : {2, 4}) expect_step_of_one_process(c, expected, size, tolerances);
}

// Over NCCL, beside float64 on the CPU. Two GPUs are enough for it.
class RanksCuda : public Ranks {};

TEST_P(RanksCuda, GiveTheStepOfOneProcess) {
  if (test::num_gpus() < 2) GTEST_SKIP() << "fewer than two GPUs";
  Case exact = GetParam();
  exact.dtype = at::kDouble;
  exact.device = at::kCPU;
  const Numbers expected = run_step(exact, dist::alone());
  for (const int size : {2, 4, 8}) {
    if (size <= test::num_gpus())
      expect_step_of_one_process(GetParam(), expected, size, same_for_all(expected, 1e-4));
  }
}

// Every loss, of pairs and where it can be of rows.
std::vector<Case> all_losses() {
  std::vector<Case> all;
  for (const auto& [name, type] : losses::loss_names()) {
    all.push_back({name, type, at::kDouble});
    if (!losses::needs_pairs(type)) all.push_back({name + "_unpaired", type, at::kDouble, /*paired=*/false});
  }
  return all;
}

// Ways in which a step is cut.
std::vector<Case> all_cuts() {
  std::vector<Case> all;
  for (const auto dtype : {at::kDouble, at::kFloat}) {
    const std::string type = dtype == at::kDouble ? "_float64" : "_float32";
    const auto add = [&](Case c) {
      c.dtype = dtype;
      for (const auto shard : {dist::Shard::kNone, dist::Shard::kOptimizer, dist::Shard::kFull}) {
        all.push_back(c);
        all.back().name += type + "_" + enum_name(shard);
        all.back().shard = shard;
      }
    };
    add({.name = "rows", .type = LossType::kDdro});
    add({.name = "own_head", .type = LossType::kDdro, .tied = false});
    add({.name = "recomputed", .type = LossType::kDdro, .gradient_checkpointing = true});
    add({.name = "lora", .type = LossType::kDdro, .adapter = models::AdapterType::kLora});
    add({.name = "dora", .type = LossType::kDdro, .adapter = models::AdapterType::kDora});
    add({.name = "recomputed_lora",
         .type = LossType::kDdro,
         .adapter = models::AdapterType::kLora,
         .tied = false,
         .gradient_checkpointing = true});
    add({.name = "lora_and_head",
         .type = LossType::kDdro,
         .adapter = models::AdapterType::kLora,
         .tied = false,
         .modules_to_save = {"embed_tokens", "lm_head"}});
    add({.name = "routers", .type = LossType::kDdro, .router_loss = 0.1});
    add({.name = "routers_one_micro_batch",
         .type = LossType::kDdro,
         .num_pairs = 1,
         .micro_batch_tokens = 4096,
         .router_loss = 0.1});
    add({.name = "step_first", .type = LossType::kBco});
    add({.name = "split_pairs", .type = LossType::kSigmoid, .micro_batch_tokens = 1});
    add({.name = "number_of_the_step", .type = LossType::kKto, .paired = false});
    add({.name = "nnbd", .type = LossType::kDdro, .paired = false, .stabilizer = losses::Stabilizer::kNnbd});
    // Two rows: with two ranks each has one class only, with four two ranks have no rows.
    add({.name = "one_class_each",
         .type = LossType::kDdro,
         .paired = false,
         .num_pairs = 1,
         .micro_batch_tokens = 1});
  }
  return all;
}

// What each way of sharing sends, of a tied and of an own head.
std::vector<Case> all_on_cuda() {
  std::vector<Case> all;
  for (const auto shard : {dist::Shard::kNone, dist::Shard::kOptimizer, dist::Shard::kFull}) {
    for (const bool tied : {true, false}) {
      all.push_back({.name = std::string(enum_name(shard)) + (tied ? "_tied" : "_own_head"),
                     .type = LossType::kDdro,
                     .dtype = at::kFloat,
                     .tied = tied,
                     .shard = shard,
                     .device = at::kCUDA});
    }
  }
  return all;
}

std::string name_of(const testing::TestParamInfo<Case>& entry) { return entry.param.name; }

INSTANTIATE_TEST_SUITE_P(Losses, Ranks, testing::ValuesIn(all_losses()), name_of);
INSTANTIATE_TEST_SUITE_P(Cuts, Ranks, testing::ValuesIn(all_cuts()), name_of);
INSTANTIATE_TEST_SUITE_P(Shards, RanksCuda, testing::ValuesIn(all_on_cuda()), name_of);

}  // namespace
}  // namespace ddro::train
