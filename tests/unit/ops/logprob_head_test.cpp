// The fused head against the composed definition under autograd, in float64 unless a test says otherwise.
//
// Legend: C completion tokens, D width, V vocabulary, N completions.
#include "ddro/ops/logprob_head.h"

#include <ATen/OpMathType.h>
#include <ATen/core/grad_mode.h>
#include <c10/core/Allocator.h>
#include <c10/util/ThreadLocalDebugInfo.h>
#include <gmock/gmock.h>
#include <torch/cuda.h>

#include <cmath>
#include <limits>
#include <numeric>
#include <string>

#include "ddro/base/error.h"

namespace ddro::ops {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

struct Problem {
  HeadInput input;
  std::vector<double> coefficients;  // d loss / d logp of each completion
};

// Completions of the given lengths; hidden states and weights are normal, and the same numbers in every dtype
// that holds them.
Problem make_problem(const std::vector<std::int64_t>& lengths, std::int64_t width, std::int64_t vocabulary,
                     at::ScalarType dtype = at::kDouble, double scale = 1) {
  at::manual_seed(1);
  Problem problem;
  problem.input.completion_offsets = {0};
  for (const std::int64_t length : lengths) {
    problem.input.completion_offsets.push_back(problem.input.completion_offsets.back() + length);
    problem.coefficients.push_back(std::sin(1.0 + static_cast<double>(problem.coefficients.size())));
  }
  const std::int64_t num_tokens = problem.input.completion_offsets.back();
  problem.input.hidden_CD = (scale * at::randn({num_tokens, width}, at::kFloat)).to(dtype);
  problem.input.weight_VD = at::randn({vocabulary, width}, at::kFloat).to(dtype);
  problem.input.targets_C = at::randint(vocabulary, {num_tokens}, at::kLong);
  return problem;
}

HeadInput cast(const HeadInput& input, at::TensorOptions options) {
  return {input.hidden_CD.to(options),
          input.weight_VD.to(options),
          input.targets_C.to(options.device()),
          input.completion_offsets,
          input.softcap,
          input.bias_V.defined() ? input.bias_V.to(options) : Tensor()};
}

struct Gradients {
  std::vector<double> logp;
  Tensor d_hidden_CD, d_weight_VD, d_bias_V;
};

// log_softmax and gather over all logits at once, differentiated by autograd in the input's dtype.
Gradients composed(const Problem& problem) {
  const Tensor hidden_CD = problem.input.hidden_CD.detach().clone().requires_grad_();
  const Tensor weight_VD = problem.input.weight_VD.detach().clone().requires_grad_();
  const double cap = problem.input.softcap;
  const bool biased = problem.input.bias_V.defined();
  const Tensor bias_V = biased ? problem.input.bias_V.detach().clone().requires_grad_() : Tensor();
  const Tensor plain_CV =
      at::linear(hidden_CD, weight_VD, biased ? std::optional<Tensor>(bias_V) : std::nullopt);
  const Tensor logits_CV = cap > 0 ? at::tanh(plain_CV / cap) * cap : plain_CV;
  const Tensor logp_CV = at::log_softmax(logits_CV, 1, at::toOpMathType(hidden_CD.scalar_type()));
  const Tensor logp_C = logp_CV.gather(1, problem.input.targets_C.unsqueeze(1)).squeeze(1);
  Gradients result;
  Tensor loss = logp_C.sum() * 0;
  for (size_t n = 0; n + 1 < problem.input.completion_offsets.size(); ++n) {
    const Tensor completion =
        logp_C.slice(0, problem.input.completion_offsets[n], problem.input.completion_offsets[n + 1]).sum();
    result.logp.push_back(completion.item<double>());
    loss = loss + problem.coefficients[n] * completion;
  }
  loss.backward();
  result.d_hidden_CD = hidden_CD.grad();
  result.d_weight_VD = weight_VD.grad();
  if (biased) result.d_bias_V = bias_V.grad();
  return result;
}

Gradients composed_float64(const Problem& problem) {
  return composed({cast(problem.input, at::kDouble), problem.coefficients});
}

// Units of `unit_size` completions each, the last one smaller.
std::vector<std::int64_t> units_of(size_t num_completions, size_t unit_size) {
  std::vector<std::int64_t> offsets = {0};
  for (size_t completion = 0; completion < num_completions; completion += unit_size) {
    offsets.push_back(static_cast<std::int64_t>(std::min(completion + unit_size, num_completions)));
  }
  return offsets;
}

Gradients fused(const Problem& problem, std::int64_t chunk_tokens, size_t unit_size = 1) {
  const CompletionGradient gradient = [&](std::int64_t first, std::span<const double> logp,
                                          std::span<double> out) {
    ASSERT_EQ(logp.size(), out.size());
    for (size_t i = 0; i < out.size(); ++i) out[i] = problem.coefficients[static_cast<size_t>(first) + i];
  };
  const at::ScalarType sum_dtype =
      problem.input.hidden_CD.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
  const Tensor d_weight_VD = at::zeros_like(problem.input.weight_VD, sum_dtype);
  const HeadResult result =
      fused_logprob_head(problem.input, units_of(problem.coefficients.size(), unit_size), gradient,
                         d_weight_VD, {.chunk_tokens = chunk_tokens});
  return {result.logp, result.d_hidden_CD, d_weight_VD, result.d_bias_V};
}

// ||got - expected|| / ||expected||; ||got|| where nothing is expected.
double relative_error(const Tensor& got, const Tensor& expected) {
  const Tensor wide = expected.to(at::kCPU, at::kDouble);
  const double difference = (got.to(at::kCPU, at::kDouble) - wide).norm().item<double>();
  const double norm = wide.norm().item<double>();
  return norm > 0 ? difference / norm : difference;
}

void expect_close(const Gradients& got, const Gradients& expected, double tolerance) {
  ASSERT_EQ(got.logp.size(), expected.logp.size());
  for (size_t n = 0; n < got.logp.size(); ++n) {
    EXPECT_NEAR(got.logp[n], expected.logp[n], tolerance * std::max(1.0, std::abs(expected.logp[n])))
        << "completion " << n;
  }
  EXPECT_LE(relative_error(got.d_hidden_CD, expected.d_hidden_CD), tolerance);
  EXPECT_LE(relative_error(got.d_weight_VD, expected.d_weight_VD), tolerance);
  ASSERT_EQ(got.d_bias_V.defined(), expected.d_bias_V.defined());
  if (got.d_bias_V.defined()) {
    EXPECT_LE(relative_error(got.d_bias_V, expected.d_bias_V), tolerance);
  }
}

template <class Call>
void expect_error(ErrorKind kind, const std::string& part, Call call) {
  try {
    call();
    FAIL() << "nothing was thrown";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), kind);
    EXPECT_THAT(std::string(error.what()), HasSubstr(part));
  }
}

const std::vector<std::int64_t> kLengths = {1, 9, 31, 1, 32, 33, 2};

TEST(LogprobHead, EqualsTheComposedDefinitionAtOddSizes) {
  for (const std::int64_t vocabulary : {1, 31, 32, 33, 1000}) {
    for (const std::int64_t width : {1, 31, 32, 33}) {
      SCOPED_TRACE("V " + std::to_string(vocabulary) + " D " + std::to_string(width));
      const Problem wide = make_problem(kLengths, width, vocabulary);
      const Problem single = make_problem(kLengths, width, vocabulary, at::kFloat);
      const Gradients expected = composed(wide);
      expect_close(fused(wide, 40), expected, 1e-12);
      expect_close(fused(single, 40), expected, 2e-6);
    }
  }
}

TEST(LogprobHead, EqualsTheComposedDefinitionWithASoftCap) {
  for (const double softcap : {2.0, 30.0}) {
    Problem wide = make_problem(kLengths, 33, 1000);
    Problem single = make_problem(kLengths, 33, 1000, at::kFloat);
    wide.input.softcap = single.input.softcap = softcap;
    for (const std::int64_t chunk_tokens : {7, 109}) {
      expect_close(fused(wide, chunk_tokens, 2), composed(wide), 1e-12);
      expect_close(fused(single, chunk_tokens, 2), composed(wide), 4e-6);
    }
  }
}

TEST(LogprobHead, EqualsTheComposedDefinitionWithABias) {
  Problem wide = make_problem(kLengths, 33, 1000);
  wide.input.bias_V = at::randn({1000}, at::kFloat).to(at::kDouble);
  const Problem single = {cast(wide.input, at::kFloat), wide.coefficients};
  for (const std::int64_t chunk_tokens : {7, 109}) {
    expect_close(fused(wide, chunk_tokens, 2), composed(wide), 1e-12);
    expect_close(fused(single, chunk_tokens, 2), composed(wide), 2e-6);
  }
}

// Completions of logits so long that the CPU works on a chunk block by block.
TEST(LogprobHead, EqualsTheComposedDefinitionAtALargeVocabulary) {
  const Problem wide = make_problem(kLengths, 33, 20001);
  expect_close(fused(wide, 109, 2), composed(wide), 1e-12);
  const Problem single = make_problem(kLengths, 33, 20001, at::kFloat);
  expect_close(fused(single, 50), composed(wide), 2e-6);
}

TEST(LogprobHead, DoesNotDependOnTheChunks) {
  const Problem wide = make_problem(kLengths, 33, 100);
  const Problem single = make_problem(kLengths, 33, 100, at::kFloat);
  const Gradients expected = composed(wide);
  for (const size_t unit_size : {size_t{1}, size_t{2}, kLengths.size()}) {
    // From a token a chunk (every longer unit in two passes) to everything in one.
    for (const std::int64_t chunk_tokens : {1, 7, 32, 33, 64, 109, 5000}) {
      SCOPED_TRACE(std::to_string(unit_size) + " completions a unit, chunk of " +
                   std::to_string(chunk_tokens));
      expect_close(fused(wide, chunk_tokens, unit_size), expected, 1e-12);
      expect_close(fused(single, chunk_tokens, unit_size), expected, 2e-6);
      // The same bits as the fused pass's, so that a policy equal to its reference has log-ratios of exactly
      // 0.
      const auto units = units_of(wide.coefficients.size(), unit_size);
      EXPECT_EQ(completion_logprobs(wide.input, units, {.chunk_tokens = chunk_tokens}),
                fused(wide, chunk_tokens, unit_size).logp);
      EXPECT_EQ(completion_logprobs(single.input, units, {.chunk_tokens = chunk_tokens}),
                fused(single, chunk_tokens, unit_size).logp);
    }
  }
}

TEST(LogprobHead, EqualsTheEquationInScalars) {
  const Problem problem = make_problem({2, 1}, 3, 5);
  const Gradients got = fused(problem, 2);
  const auto hidden = problem.input.hidden_CD.accessor<double, 2>();
  const auto weight = problem.input.weight_VD.accessor<double, 2>();
  const auto target = problem.input.targets_C.accessor<std::int64_t, 1>();
  std::vector<double> logp(2), d_weight(5 * 3);
  for (std::int64_t c = 0; c < 3; ++c) {
    const size_t completion = c < 2 ? 0 : 1;
    double logits[5];
    double sum = 0;
    for (std::int64_t v = 0; v < 5; ++v) {
      logits[v] = 0;
      for (std::int64_t d = 0; d < 3; ++d) logits[v] += hidden[c][d] * weight[v][d];
      sum += std::exp(logits[v]);
    }
    logp[completion] += logits[target[c]] - std::log(sum);
    for (std::int64_t d = 0; d < 3; ++d) {
      double d_hidden = 0;
      for (std::int64_t v = 0; v < 5; ++v) {
        const double d_logit =
            problem.coefficients[completion] * ((v == target[c] ? 1 : 0) - std::exp(logits[v]) / sum);
        d_hidden += d_logit * weight[v][d];
        d_weight[static_cast<size_t>(3 * v + d)] += d_logit * hidden[c][d];
      }
      EXPECT_NEAR(got.d_hidden_CD[c][d].item<double>(), d_hidden, 1e-14);
    }
  }
  EXPECT_THAT(got.logp, testing::Pointwise(testing::DoubleNear(1e-14), logp));
  const Tensor flat = got.d_weight_VD.flatten();
  for (std::int64_t i = 0; i < 15; ++i) {
    EXPECT_NEAR(flat[i].item<double>(), d_weight[static_cast<size_t>(i)], 1e-14);
  }
}

TEST(LogprobHead, GivesTheGradientFunctionWholeUnitsOnce) {
  const Problem problem = make_problem({3, 4, 2, 20, 1, 1, 9}, 5, 11);
  const std::vector<double> expected = composed(problem).logp;
  std::vector<std::pair<std::int64_t, size_t>> calls;
  const CompletionGradient gradient = [&](std::int64_t first, std::span<const double> logp,
                                          std::span<double> out) {
    calls.emplace_back(first, logp.size());
    for (size_t i = 0; i < logp.size(); ++i) {
      EXPECT_NEAR(logp[i], expected[static_cast<size_t>(first) + i], 1e-12);
      out[i] = 1;
    }
  };
  const std::vector<std::int64_t> units = {0, 1, 3, 4, 6, 7};
  fused_logprob_head(problem.input, units, gradient, {}, {.chunk_tokens = 9});
  // 3 + 6 tokens fit a chunk, 20 do not, nor do 2 + 9.
  EXPECT_THAT(calls, ElementsAre(std::pair{0, 3}, std::pair{3, 1}, std::pair{4, 2}, std::pair{6, 1}));
}

TEST(LogprobHead, AddsToTheWeightGradient) {
  const Problem problem = make_problem(kLengths, 8, 20);
  const Gradients expected = composed(problem);
  const Tensor d_weight_VD = at::ones_like(problem.input.weight_VD);
  const CompletionGradient gradient = [&](std::int64_t first, std::span<const double>,
                                          std::span<double> out) {
    for (size_t i = 0; i < out.size(); ++i) out[i] = problem.coefficients[static_cast<size_t>(first) + i];
  };
  fused_logprob_head(problem.input, units_of(kLengths.size(), 1), gradient, d_weight_VD,
                     {.chunk_tokens = 10});
  EXPECT_LE(relative_error(d_weight_VD - 1, expected.d_weight_VD), 1e-12);
  // A frozen head: the hidden states' gradient is the same without it.
  const HeadResult frozen = fused_logprob_head(problem.input, units_of(kLengths.size(), 1), gradient, {});
  EXPECT_LE(relative_error(frozen.d_hidden_CD, expected.d_hidden_CD), 1e-12);
  // float64 sums of float32 products.
  const Problem single = {cast(problem.input, at::kFloat), problem.coefficients};
  const Tensor sum_VD = at::zeros_like(problem.input.weight_VD);
  fused_logprob_head(single.input, units_of(kLengths.size(), 1), gradient, sum_VD);
  EXPECT_LE(relative_error(sum_VD, expected.d_weight_VD), 2e-6);
}

TEST(LogprobHead, RepeatedTargetsAddUp) {
  Problem problem = make_problem(kLengths, 9, 33);
  problem.input.targets_C.fill_(32);
  expect_close(fused(problem, 30), composed(problem), 1e-12);
}

TEST(LogprobHead, RowsOfOneTokenAndOfNone) {
  const Problem ones = make_problem(std::vector<std::int64_t>(33, 1), 7, 50);
  expect_close(fused(ones, 8), composed(ones), 1e-12);
  const Problem gaps = make_problem({0, 3, 0, 0, 5, 0}, 7, 50);
  expect_close(fused(gaps, 4), composed(gaps), 1e-12);
  EXPECT_EQ(fused(gaps, 4).logp[0], 0);
}

TEST(LogprobHead, NothingGivesNothing) {
  const Problem none = make_problem({}, 7, 50);
  const Gradients got = fused(none, 16);
  EXPECT_TRUE(got.logp.empty());
  EXPECT_EQ(got.d_hidden_CD.sizes(), (std::vector<std::int64_t>{0, 7}));
  EXPECT_EQ(got.d_weight_VD.abs().sum().item<double>(), 0);
  EXPECT_TRUE(completion_logprobs(none.input, units_of(0, 1)).empty());
  const Problem empty_row = make_problem({0}, 7, 50);
  EXPECT_THAT(fused(empty_row, 16).logp, ElementsAre(0));
}

TEST(LogprobHead, LargeLogitsStayFinite) {
  for (const at::ScalarType dtype : {at::kDouble, at::kFloat, at::kBFloat16}) {
    const Problem problem = make_problem(kLengths, 16, 300, dtype, 1e4);
    const Gradients got = fused(problem, 20);
    for (const double logp : got.logp) EXPECT_TRUE(std::isfinite(logp));
    EXPECT_TRUE(at::isfinite(got.d_hidden_CD).all().item<bool>());
    EXPECT_TRUE(at::isfinite(got.d_weight_VD).all().item<bool>());
    if (dtype == at::kDouble) expect_close(got, composed(problem), 1e-12);
  }
}

TEST(LogprobHead, ANonFiniteHiddenStateShowsInItsRowOnly) {
  Problem problem = make_problem({4, 4, 4}, 8, 30);
  problem.input.hidden_CD[5][2] = std::numeric_limits<double>::quiet_NaN();
  const Gradients got = fused(problem, 3);
  EXPECT_TRUE(std::isfinite(got.logp[0]) && std::isnan(got.logp[1]) && std::isfinite(got.logp[2]));
}

// Half precision may be as wrong as the composed definition in the same dtype, twice over.
TEST(LogprobHead, HalfPrecisionIsNoWorseThanComposed) {
  for (const at::ScalarType dtype : {at::kBFloat16, at::kHalf}) {
    const Problem problem = make_problem({64, 64, 64, 64}, 64, 1000, dtype, 0.3);
    const Gradients truth = composed_float64(problem);
    const Gradients plain = composed(problem);
    const Gradients got = fused(problem, 100);
    EXPECT_LE(relative_error(got.d_hidden_CD, truth.d_hidden_CD),
              2 * relative_error(plain.d_hidden_CD, truth.d_hidden_CD));
    EXPECT_LE(relative_error(got.d_weight_VD, truth.d_weight_VD),
              2 * relative_error(plain.d_weight_VD, truth.d_weight_VD));
    for (size_t n = 0; n < 4; ++n) {
      EXPECT_NEAR(got.logp[n], truth.logp[n], 2 * std::abs(plain.logp[n] - truth.logp[n]) + 1e-5 * 500);
    }
  }
}

TEST(LogprobHead, BuildsNoGraphAndLeavesItsInputAlone) {
  Problem problem = make_problem(kLengths, 8, 30);
  problem.input.hidden_CD.requires_grad_();
  problem.input.weight_VD.requires_grad_();
  const Tensor hidden_before = problem.input.hidden_CD.detach().clone();
  const Gradients got = fused(problem, 16);
  EXPECT_FALSE(got.d_hidden_CD.requires_grad());
  EXPECT_TRUE(at::equal(problem.input.hidden_CD, hidden_before));
  EXPECT_TRUE(at::GradMode::is_enabled());
}

// What the CPU allocator hands out in the calling thread.
class AllocationProbe : public c10::MemoryReportingInfoBase {
 public:
  void reportMemoryUsage(void*, std::int64_t size, size_t, size_t, c10::Device) override {
    live += size;
    peak = std::max(peak, live);
    largest = std::max(largest, size);
  }
  bool memoryProfilingEnabled() const override { return true; }

  std::int64_t live = 0, peak = 0, largest = 0;
};

TEST(LogprobHead, NoTensorHoldsMoreLogitsThanAChunk) {
  constexpr std::int64_t kTokens = 512, kVocabulary = 20000, kChunk = 32, kWidth = 4;
  const Problem problem =
      make_problem(std::vector<std::int64_t>(8, kTokens / 8), kWidth, kVocabulary, at::kFloat);
  constexpr std::int64_t kChunkBytes = kChunk * kVocabulary * 4;
  constexpr std::int64_t kOtherBytes = (2 * kVocabulary + 4 * kTokens) * kWidth * 4;
  for (const size_t unit_size : {1, 8}) {
    const auto probe = std::make_shared<AllocationProbe>();
    {
      const c10::DebugInfoGuard guard(c10::DebugInfoKind::PROFILER_STATE, probe);
      fused(problem, kChunk, unit_size);
      completion_logprobs(problem.input, units_of(problem.coefficients.size(), unit_size),
                          {.chunk_tokens = kChunk});
    }
    EXPECT_EQ(probe->largest, kChunkBytes);
    EXPECT_GE(probe->peak, kChunkBytes);
    EXPECT_LE(probe->peak, kChunkBytes + kOtherBytes);
  }
}

TEST(LogprobHead, RefusesTokensOutsideTheVocabulary) {
  for (const std::int64_t id : {-1, 30}) {
    Problem problem = make_problem({4}, 8, 30);
    problem.input.targets_C[2] = id;
    expect_error(ErrorKind::kModel, "got " + std::to_string(id) + ", expected 0 to 29",
                 [&] { fused(problem, 8); });
    expect_error(ErrorKind::kModel, "[head]",
                 [&] { completion_logprobs(problem.input, units_of(problem.coefficients.size(), 1)); });
  }
}

TEST(LogprobHead, ChecksWhatCallersPromise) {
  const Problem good = make_problem({4}, 8, 30);
  const auto expect_bug = [&](const std::string& part, const std::function<void(HeadInput&)>& spoil) {
    Problem problem = good;
    spoil(problem.input);
    expect_error(ErrorKind::kInternal, part,
                 [&] { completion_logprobs(problem.input, units_of(problem.coefficients.size(), 1)); });
  };
  expect_bug("C x D", [](HeadInput& input) { input.hidden_CD = input.hidden_CD.flatten(); });
  expect_bug("C and D agree", [](HeadInput& input) { input.weight_VD = at::zeros({30, 9}, at::kDouble); });
  expect_bug("one floating dtype",
             [](HeadInput& input) { input.weight_VD = input.weight_VD.to(at::kFloat); });
  expect_bug("int64", [](HeadInput& input) { input.targets_C = input.targets_C.to(at::kInt); });
  expect_bug("completion offsets", [](HeadInput& input) { input.completion_offsets = {0, 3}; });
  expect_bug("completion offsets", [](HeadInput& input) { input.completion_offsets = {}; });
  expect_bug("completion offsets", [](HeadInput& input) { input.completion_offsets = {0, 3, 2, 4}; });
  expect_error(ErrorKind::kInternal, "a chunk holds a token", [&] {
    completion_logprobs(good.input, units_of(good.coefficients.size(), 1), {.chunk_tokens = -1});
  });
  const CompletionGradient gradient = [](std::int64_t, std::span<const double>, std::span<double>) {};
  const std::vector<std::int64_t> units = {0, 1}, short_units = {0};
  expect_error(ErrorKind::kInternal, "unit offsets",
               [&] { fused_logprob_head(good.input, short_units, gradient, {}); });
  expect_error(ErrorKind::kInternal, "like the weight", [&] {
    fused_logprob_head(good.input, units, gradient, at::zeros({30, 9}));
  });
  expect_error(ErrorKind::kInternal, "float32 or float64", [&] {
    fused_logprob_head(good.input, units, gradient, at::zeros({30, 8}, at::kHalf));
  });
}

// The definition, over all logits at once.
std::vector<double> composed_excess(const Problem& problem) {
  const Tensor plain_CV = at::matmul(problem.input.hidden_CD, problem.input.weight_VD.t()) +
                          (problem.input.bias_V.defined() ? problem.input.bias_V : at::zeros({1}));
  const double cap = problem.input.softcap;
  const Tensor logp_CV = at::log_softmax(cap > 0 ? at::tanh(plain_CV / cap) * cap : plain_CV, 1);
  const Tensor excess_C =
      logp_CV.gather(1, problem.input.targets_C.unsqueeze(1)).squeeze(1) - (logp_CV.exp() * logp_CV).sum(1);
  std::vector<double> result;
  const std::vector<std::int64_t>& offsets = problem.input.completion_offsets;
  for (size_t n = 0; n + 1 < offsets.size(); ++n)
    result.push_back(excess_C.slice(0, offsets[n], offsets[n + 1]).sum().item<double>());
  return result;
}

TEST(ExcessLogProbs, AreTheirDefinition) {
  for (const double softcap : {0.0, 2.0}) {
    for (const bool biased : {false, true}) {
      Problem problem = make_problem({3, 1, 5, 0, 2}, 7, 50);
      problem.input.softcap = softcap;
      if (biased) problem.input.bias_V = at::randn({50}, at::kDouble);
      const std::vector<double> expected = composed_excess(problem);
      for (const std::int64_t chunk_tokens : {1, 8, 100}) {
        const std::vector<double> got = excess_logprobs(problem.input, {.chunk_tokens = chunk_tokens});
        ASSERT_EQ(got.size(), expected.size());
        for (size_t n = 0; n < got.size(); ++n) EXPECT_NEAR(got[n], expected[n], 1e-12);
        const std::vector<double> narrow =
            excess_logprobs(cast(problem.input, at::kFloat), {.chunk_tokens = chunk_tokens});
        for (size_t n = 0; n < got.size(); ++n) EXPECT_NEAR(narrow[n], expected[n], 1e-4);
      }
    }
  }
}

// Targets drawn at a temperature: the mean over many is 0, within its standard error, at temperature 1 alone.
TEST(ExcessLogProbs, AreZeroOnAverageOfOnesOwnSamples) {
  constexpr std::int64_t kTokens = 4000;
  Problem problem = make_problem(std::vector<std::int64_t>(kTokens, 1), 16, 40);
  problem.input.hidden_CD *= 0.5;
  const Tensor logits_CV = at::matmul(problem.input.hidden_CD, problem.input.weight_VD.t());
  for (const double temperature : {0.7, 1.0, 1.5}) {
    problem.input.targets_C = at::multinomial(at::softmax(logits_CV / temperature, 1), 1).squeeze(1);
    const std::vector<double> excess = excess_logprobs(problem.input);
    const Tensor excess_C = at::tensor(excess, at::kDouble);
    const double standard_error = excess_C.std().item<double>() / std::sqrt(kTokens);
    const double mean = excess_C.mean().item<double>() / standard_error;
    const testing::Matcher<double> expected =
        temperature == 1  ? testing::Matcher<double>(testing::AllOf(testing::Gt(-4), testing::Lt(4)))
        : temperature < 1 ? testing::Matcher<double>(testing::Gt(8))
                          : testing::Matcher<double>(testing::Lt(-8));
    EXPECT_THAT(mean, expected) << temperature;
  }
}

// The CUDA kernel at completion lengths that begin off, and end between, sixteen-byte boundaries.
TEST(LogprobHeadCuda, EqualsTheComposedDefinition) {
  if (!torch::cuda::is_available()) GTEST_SKIP() << "no CUDA device";
  for (const std::int64_t vocabulary : {1, 2, 7, 31, 32, 33, 511, 4096, 50257}) {
    for (const std::int64_t chunk_tokens : {7, 5000}) {
      SCOPED_TRACE("V " + std::to_string(vocabulary) + ", chunk of " + std::to_string(chunk_tokens));
      for (const auto& [dtype, tolerance] : {std::pair{at::kDouble, 1e-12}, std::pair{at::kFloat, 1e-5}}) {
        const Problem host = make_problem(kLengths, 64, vocabulary, dtype, 0.3);
        const Problem device = {cast(host.input, at::TensorOptions(at::kCUDA).dtype(dtype)),
                                host.coefficients};
        expect_close(fused(device, chunk_tokens), composed_float64(host), tolerance);
      }
    }
  }
}

TEST(LogprobHeadCuda, HalfPrecisionIsNoWorseThanComposed) {
  if (!torch::cuda::is_available()) GTEST_SKIP() << "no CUDA device";
  for (const std::int64_t vocabulary : {33, 4096, 50257}) {
    for (const at::ScalarType dtype : {at::kBFloat16, at::kHalf}) {
      const Problem host = make_problem({64, 64, 64, 64}, 64, vocabulary, dtype, 0.3);
      const Problem device = {cast(host.input, at::TensorOptions(at::kCUDA).dtype(dtype)), host.coefficients};
      const Gradients truth = composed_float64(host);
      const Gradients plain = composed(device);
      const Gradients got = fused(device, 100);
      EXPECT_LE(relative_error(got.d_hidden_CD, truth.d_hidden_CD),
                2 * relative_error(plain.d_hidden_CD, truth.d_hidden_CD));
      EXPECT_LE(relative_error(got.d_weight_VD, truth.d_weight_VD),
                2 * relative_error(plain.d_weight_VD, truth.d_weight_VD));
    }
  }
}

}  // namespace
}  // namespace ddro::ops
