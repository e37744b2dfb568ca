// The same bits each time: every operation of the step, and whole steps, computed twenty times by 2 and by 4
// threads. The model is large enough for LibTorch to share out each operation among them.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include <functional>
#include <numeric>

#include "ddro/ops/linear.h"
#include "ddro/ops/logprob_head.h"
#include "ddro/ops/moment_code.h"
#include "ddro/ops/rms_norm.h"
#include "ddro/ops/rotary.h"
#include "ddro/ops/varlen_attention.h"
#include "ddro/train/optimizer.h"
#include "ddro/train/score.h"
#include "ddro/train/step.h"
#include "support/own_tensors.h"
#include "support/tiny_model.h"

namespace ddro::test {
namespace {

constexpr int kTimes = 20;
constexpr std::int64_t kVocabulary = 8192, kWidth = 256, kTokens = 2048;

using Tensors = std::vector<Tensor>;

// By the number of threads.
class Repeatable : public testing::TestWithParam<int> {
 protected:
  void SetUp() override {
    at::manual_seed(1);
    at::set_num_threads(GetParam());
  }
  void TearDown() override { at::set_num_threads(threads_); }

 private:
  int threads_ = at::get_num_threads();
};

void expect_same_bits(const char* what, const std::function<Tensors()>& compute) {
  const Tensors first = compute();
  for (int i = 1; i < kTimes; ++i) {
    const Tensors again = compute();
    ASSERT_EQ(again.size(), first.size());
    for (size_t j = 0; j < first.size(); ++j)
      ASSERT_TRUE(at::equal(again[j], first[j])) << what << ", result " << j << ", time " << i;
  }
}

// An operation's result and the gradients of its inputs.
void expect_same_bits(const char* what, const Tensors& inputs,
                      const std::function<Tensor(const Tensors&)>& operation) {
  const Tensor d_y = at::randn_like(operation(inputs));
  expect_same_bits(what, [&] {
    Tensors leaves;
    for (const Tensor& input : inputs) leaves.push_back(input.detach().requires_grad_());
    const Tensor y = operation(leaves);
    y.backward(d_y);
    Tensors results = {y.detach()};
    for (const Tensor& leaf : leaves) results.push_back(leaf.grad());
    return results;
  });
}

Tensor some_ids(std::int64_t largest) { return at::randint(largest, {kTokens}, at::kLong); }

// A prompt that five others go on from, and some by themselves.
std::vector<ops::AttentionSegment> some_segments() {
  std::vector<ops::AttentionSegment> segments = {{0, 300}};
  for (std::int64_t begin = 300; begin < kTokens; begin = segments.back().begin + segments.back().length) {
    const std::int64_t length = std::min<std::int64_t>(150 + 37 * (begin % 5), kTokens - begin);
    segments.push_back({begin, length, segments.size() <= 5 ? 0 : -1});
  }
  return segments;
}

TEST_P(Repeatable, Operations) {
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    const auto random = [&](at::IntArrayRef shape) { return at::randn(shape).to(dtype); };
    const Tensor x_TD = random({kTokens, kWidth});
    const Tensor ids_T = some_ids(100);
    expect_same_bits("embedding", {random({kVocabulary, kWidth})},
                     [&](const Tensors& in) { return ops::embedding(in[0], ids_T); });
    expect_same_bits("select", {x_TD}, [&](const Tensors& in) { return in[0].index_select(0, ids_T); });
    expect_same_bits("linear", {x_TD, random({384, kWidth}), random({384})},
                     [](const Tensors& in) { return ops::linear(in[0], in[1], in[2]); });
    expect_same_bits("swiglu", {x_TD, random({kTokens, kWidth}), random({384, kWidth})},
                     [](const Tensors& in) { return ops::swiglu_linear(in[0], in[1], in[2], {}); });
    expect_same_bits("rms_norm", {x_TD, random({kWidth})},
                     [](const Tensors& in) { return ops::rms_norm(in[0], in[1], 1e-5); });
    const Tensor cos_T1K = random({kTokens, 1, 32}), sin_T1K = random({kTokens, 1, 32});
    expect_same_bits("rotary", {random({kTokens, 8, 32})},
                     [&](const Tensors& in) { return ops::rotary(in[0], cos_T1K, sin_T1K); });
    const ops::AttentionLayout layout(some_segments(), at::kCPU);
    for (const std::int64_t window : {ops::kNoWindow, std::int64_t{100}}) {
      expect_same_bits(
          "attention", {random({kTokens, 8, 32}), random({kTokens, 2, 32}), random({kTokens, 2, 32})},
          [&](const Tensors& in) { return ops::varlen_attention(in[0], in[1], in[2], layout, 0.2, window); });
    }
  }
}

TEST_P(Repeatable, Head) {
  constexpr std::int64_t kCompletionTokens = 512;
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    ops::HeadInput input;
    input.hidden_CD = at::randn({kCompletionTokens, kWidth}).to(dtype);
    input.weight_VD = at::randn({kVocabulary, kWidth}).div_(16).to(dtype);
    input.targets_C = at::randint(kVocabulary, {kCompletionTokens}, at::kLong);
    input.completion_offsets = {0, 150, 300, kCompletionTokens};
    const std::vector<std::int64_t> units = {0, 1, 2, 3};
    expect_same_bits("head", [&] {
      const Tensor d_weight_VD = at::zeros({kVocabulary, kWidth});
      const ops::HeadResult result = ops::fused_logprob_head(
          input, units,
          [](std::int64_t, std::span<const double> logp, std::span<double> out) {
            for (size_t i = 0; i < logp.size(); ++i) out[i] = 1 / logp[i];
          },
          d_weight_VD);
      return Tensors{at::tensor(result.logp, at::kDouble), result.d_hidden_CD, d_weight_VD};
    });
  }
}

TEST_P(Repeatable, Moments) {
  const Tensor values_N = at::randn({100000});
  for (const ops::MomentCode code : {ops::MomentCode::kBFloat16, ops::MomentCode::kSignedFloat8}) {
    const bool short_float = code == ops::MomentCode::kBFloat16;
    expect_same_bits("moment", [&] {
      ops::MomentPart part;
      part.codes_N = at::empty({values_N.numel()}, short_float ? at::kBFloat16 : at::kByte);
      part.exponents_B =
          at::empty({short_float ? 0 : (values_N.numel() - 1) / ops::kMomentBlock + 1}, at::kByte);
      ops::encode_moment(code, values_N, /*key=*/3, part);
      return Tensors{part.codes_N, part.exponents_B};
    });
  }
}

// `model_type` decides whether there are experts.
models::ModelSpec ordinary_spec(const char* model_type = "llama") {
  return models::parse_model_config({{"model_type", model_type},
                                     {"vocab_size", kVocabulary},
                                     {"hidden_size", kWidth},
                                     {"intermediate_size", 640},
                                     {"num_hidden_layers", 4},
                                     {"num_attention_heads", 8},
                                     {"num_key_value_heads", 2},
                                     {"max_position_embeddings", 256},
                                     {"tie_word_embeddings", true}},
                                    "ordinary");
}

// tiny_weights are of a size for a width of 32.
NamedTensors ordinary_weights(std::uint64_t seed, const models::ModelSpec& spec = ordinary_spec()) {
  NamedTensors weights = tiny_weights(spec, seed);
  for (auto& [name, tensor] : weights) {
    if (tensor.dim() >= 2) tensor.mul_(0.3);
    tensor = tensor.to(at::kFloat);
  }
  return weights;
}

struct OrdinaryStep {
  models::ModelSpec spec;
  NamedTensors initial = ordinary_weights(1, spec);
  std::unique_ptr<models::CausalLm> reference =
      models::make_causal_lm(spec, ordinary_weights(2, spec), {.trainable = false});
  data::Dataset dataset = random_dataset(48, /*paired=*/true, 3);
  data::StepPlan plan;

  explicit OrdinaryStep(const char* model_type = "llama") : spec(ordinary_spec(model_type)) {
    std::vector<std::int64_t> all(dataset.examples.size());
    std::iota(all.begin(), all.end(), 0);
    plan = data::plan_step(dataset, all, {.micro_batch_tokens = 1500});
  }

  // Gradients, weights, moments and what is reported.
  Tensors train(const models::BuildOptions& build, const train::OptimizerOptions& options) const {
    const auto policy = models::make_causal_lm(spec, initial, build);
    train::Parameters parameters(*policy, initial);
    train::Optimizer optimizer(parameters, options);
    const train::ModelLogProbs live(*reference);
    const auto objective = losses::make_objective({}, 0.5);
    parameters.zero_gradients();
    const train::StepResult result =
        train::compute_step(*policy, &live, plan, plan.counts, *objective, parameters);
    const double norm = parameters.gradient_norm();
    Tensors results = {at::tensor({result.loss, norm}, at::kDouble)};
    for (const auto& [name, tensor] : policy->parameters())
      results.push_back(parameters.gradient(name).clone());
    optimizer.step(1e-3, 1 / norm);
    for (const auto& [name, tensor] : parameters.masters()) results.push_back(tensor);
    for (const auto& [name, tensor] : test::own_tensors(optimizer.state())) results.push_back(tensor);
    return results;
  }
};

TEST_P(Repeatable, WholeSteps) {
  const OrdinaryStep step;
  ASSERT_GT(step.plan.packed_tokens, 1000);
  expect_same_bits("step in float32", [&] { return step.train({}, {}); });
}

TEST_P(Repeatable, WholeStepsInShortTypes) {
  const OrdinaryStep step;
  const models::BuildOptions build = {.dtype = at::kBFloat16, .gradient_checkpointing = true};
  expect_same_bits("step in bfloat16",
                   [&] { return step.train(build, {.moment_dtype = train::MomentDType::kFloat8}); });
}

TEST_P(Repeatable, WholeStepsOfExperts) {
  for (const char* model_type : {"mixtral", "granitemoe"}) {
    const OrdinaryStep step(model_type);
    expect_same_bits(model_type, [&] { return step.train({}, {}); });
  }
}

TEST_P(Repeatable, Evaluation) {
  const OrdinaryStep step;
  expect_same_bits("evaluation", [&] {
    return Tensors{
        at::tensor(*train::score(train::ModelLogProbs(*step.reference), step.plan, at::kCPU), at::kDouble)};
  });
}

// A packed prompt, and tokens that go on from it in a cache.
TEST_P(Repeatable, Generation) {
  const at::NoGradGuard no_grad;
  const auto model = models::make_causal_lm(ordinary_spec(), ordinary_weights(1), {.trainable = false});
  constexpr std::int64_t kPrompt = 60, kSequences = 16, kSteps = 4;
  const Tensor ids_T = at::randint(kVocabulary, {kPrompt * kSequences}, at::kLong);
  std::vector<ops::AttentionSegment> segments;
  for (std::int64_t n = 0; n < kSequences; ++n) segments.push_back({n * kPrompt, kPrompt});
  const ops::AttentionLayout layout(segments, at::kCPU);
  const Tensor last_N = at::arange(kSequences, at::kLong) * kPrompt + (kPrompt - 1);
  expect_same_bits("generation", [&] {
    models::PackedKeyValues kept;
    models::ModelInput input;
    input.ids_T = ids_T;
    input.positions_T = at::arange(kPrompt, at::kLong).repeat({kSequences});
    input.layout = &layout;
    input.output_positions_C = last_N;
    input.kept_kv = &kept;
    Tensors results = {at::linear(model->hidden(input), model->head_weight())};
    models::KvCache cache(model->spec(), kSequences, model->head_weight().options());
    for (std::int64_t n = 0; n < kSequences; ++n) cache.append(kept, n * kPrompt, kPrompt);
    for (std::int64_t i = 0; i < kSteps; ++i) {
      models::ModelInput next;
      next.ids_T = results.back().argmax(1);
      next.positions_T = at::full({kSequences}, kPrompt + i, at::kLong);
      next.output_positions_C = at::arange(kSequences, at::kLong);
      next.cache = &cache;
      results.push_back(at::linear(model->hidden(next), model->head_weight()));
    }
    return results;
  });
}

INSTANTIATE_TEST_SUITE_P(Threads, Repeatable, testing::Values(2, 4));

}  // namespace
}  // namespace ddro::test
