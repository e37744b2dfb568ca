#include "ddro/ops/varlen_attention.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>
#include <torch/cuda.h>

#include <cmath>
#include <set>

#include "ddro/base/error.h"
#include "ops/varlen_attention_kernels.h"
#include "unit/ops/gradcheck.h"

namespace ddro::ops {
namespace {

using Segments = std::vector<AttentionSegment>;

// Lengths in order; a prefix is the index of an earlier segment, or -1.
Segments make_segments(const std::vector<std::pair<std::int64_t, int>>& lengths_and_prefixes) {
  Segments segments;
  std::int64_t begin = 0;
  for (const auto& [length, prefix] : lengths_and_prefixes) {
    segments.push_back({begin, length, prefix});
    begin += length;
  }
  return segments;
}

// Packed indices of the tokens that the end of a segment sees, in order.
std::vector<std::int64_t> visible(const Segments& segments, const AttentionSegment& segment) {
  std::vector<std::int64_t> seen;
  if (segment.parent >= 0) seen = visible(segments, segments[static_cast<size_t>(segment.parent)]);
  for (std::int64_t i = 0; i < segment.length; ++i) seen.push_back(segment.begin + i);
  return seen;
}

std::int64_t count_tokens(const Segments& segments) { return segments.back().begin + segments.back().length; }

// The definition, token by token, in double.
Tensor scalar_attention(const Tensor& q, const Tensor& k, const Tensor& v, const Segments& segments,
                        double scale, std::int64_t window, double softcap = 0, const Tensor& sinks = {},
                        const std::vector<double>& slopes = {}) {
  const Tensor out = at::zeros_like(q);
  const auto Q = q.accessor<double, 3>(), K = k.accessor<double, 3>(), V = v.accessor<double, 3>();
  auto O = out.accessor<double, 3>();
  const std::int64_t heads_per_group = q.size(1) / k.size(1);
  for (const AttentionSegment& segment : segments) {
    const std::vector<std::int64_t> seen = visible(segments, segment);
    const std::int64_t prefix_length = static_cast<std::int64_t>(seen.size()) - segment.length;
    for (std::int64_t i = 0; i < segment.length; ++i) {
      const std::int64_t query = prefix_length + i;
      for (std::int64_t head = 0; head < q.size(1); ++head) {
        const std::int64_t group = head / heads_per_group;
        double total = sinks.defined() ? std::exp(sinks[head].item<double>()) : 0;
        for (std::int64_t key = std::max<std::int64_t>(0, window > query ? 0 : query - window + 1);
             key <= query; ++key) {
          const std::int64_t at = seen[static_cast<size_t>(key)];
          double score = 0;
          for (std::int64_t c = 0; c < q.size(2); ++c)
            score += Q[segment.begin + i][head][c] * K[at][group][c];
          score *= scale;
          if (!slopes.empty()) score -= slopes[static_cast<size_t>(head)] * static_cast<double>(query - key);
          const double weight = std::exp(softcap > 0 ? softcap * std::tanh(score / softcap) : score);
          total += weight;
          for (std::int64_t c = 0; c < q.size(2); ++c)
            O[segment.begin + i][head][c] += weight * V[at][group][c];
        }
        for (std::int64_t c = 0; c < q.size(2); ++c) O[segment.begin + i][head][c] /= total;
      }
    }
  }
  return out;
}

struct Inputs {
  Tensor q, k, v;
};

Inputs make_inputs(std::int64_t tokens, std::int64_t heads, std::int64_t groups, std::int64_t width) {
  at::manual_seed(7);
  const auto options = at::TensorOptions(at::kDouble);
  return {at::randn({tokens, heads, width}, options), at::randn({tokens, groups, width}, options),
          at::randn({tokens, groups, width}, options)};
}

const Segments kMixed = make_segments(
    {{1, -1}, {31, -1}, {32, 1}, {33, 1}, {1, 1}, {33, -1}, {32, -1}, {2, 0}, {17, 5}, {5, 2}, {33, 9}});

class VarlenAttention : public testing::TestWithParam<std::tuple<int, std::int64_t>> {};

TEST_P(VarlenAttention, EqualsTheDefinition) {
  const auto [groups, window] = GetParam();
  const Inputs in = make_inputs(count_tokens(kMixed), 6, groups, 8);
  const AttentionLayout layout(kMixed, at::kCPU);
  const Tensor expected = scalar_attention(in.q, in.k, in.v, kMixed, 0.3, window);
  const Tensor exact = varlen_attention(in.q, in.k, in.v, layout, 0.3, window);
  EXPECT_LE((exact - expected).abs().max().item<double>(), 1e-13);
  const Tensor single =
      varlen_attention(in.q.to(at::kFloat), in.k.to(at::kFloat), in.v.to(at::kFloat), layout, 0.3, window);
  EXPECT_LE((single.to(at::kDouble) - expected).abs().max().item<double>(), 2e-6);
}

TEST_P(VarlenAttention, EqualsTheDefinitionWithASoftCap) {
  constexpr double kSoftcap = 1.5;
  const auto [groups, window] = GetParam();
  const Inputs in = make_inputs(count_tokens(kMixed), 6, groups, 8);
  const AttentionLayout layout(kMixed, at::kCPU);
  const Tensor expected = scalar_attention(in.q, in.k, in.v, kMixed, 0.3, window, kSoftcap);
  const Tensor exact = varlen_attention(in.q, in.k, in.v, layout, 0.3, window, kSoftcap);
  EXPECT_LE((exact - expected).abs().max().item<double>(), 1e-13);
}

TEST_P(VarlenAttention, EqualsTheDefinitionWithSinks) {
  const auto [groups, window] = GetParam();
  const Inputs in = make_inputs(count_tokens(kMixed), 6, groups, 8);
  const Tensor sinks = at::tensor({-2.0, -0.5, 0.0, 0.7, 1.5, 3.0}, at::kDouble);
  const AttentionLayout layout(kMixed, at::kCPU);
  for (const double softcap : {0.0, 1.5}) {
    const Tensor expected = scalar_attention(in.q, in.k, in.v, kMixed, 0.3, window, softcap, sinks);
    const Tensor exact = varlen_attention(in.q, in.k, in.v, layout, 0.3, window, softcap, sinks);
    EXPECT_LE((exact - expected).abs().max().item<double>(), 1e-13);
  }
}

TEST_P(VarlenAttention, EqualsTheDefinitionWithBiases) {
  const auto [groups, window] = GetParam();
  const Inputs in = make_inputs(count_tokens(kMixed), 6, groups, 8);
  const std::vector<double> slopes = {0.5, 0.25, 0.1, 0.03, 0.7, 0.01};
  const Alibi alibi{.slopes_H = at::tensor(slopes, at::kDouble)};
  const AttentionLayout layout(kMixed, at::kCPU);
  const Tensor expected = scalar_attention(in.q, in.k, in.v, kMixed, 0.3, window, 0, {}, slopes);
  const Tensor exact = varlen_attention(in.q, in.k, in.v, layout, 0.3, window, 0, {}, &alibi);
  EXPECT_LE((exact - expected).abs().max().item<double>(), 1e-13);
  const Tensor single = varlen_attention(in.q.to(at::kFloat), in.k.to(at::kFloat), in.v.to(at::kFloat),
                                         layout, 0.3, window, 0, {}, &alibi);
  EXPECT_LE((single.to(at::kDouble) - expected).abs().max().item<double>(), 2e-6);
}

INSTANTIATE_TEST_SUITE_P(HeadsAndWindows, VarlenAttention,
                         testing::Combine(testing::Values(1, 3, 6),
                                          testing::Values(kNoWindow, 1, 5, 31, 32, 33, 64)));

TEST(VarlenAttentionLong, WindowsAndPrefixesBeyondTheKernelsBlocks) {
  const Segments segments = make_segments({{1100, -1}, {700, 0}, {3, 0}});
  const Inputs in = make_inputs(count_tokens(segments), 2, 1, 4);
  const AttentionLayout layout(segments, at::kCPU);
  for (const std::int64_t window : {std::int64_t{40}, std::int64_t{600}, kNoWindow}) {
    const Tensor got = varlen_attention(in.q, in.k, in.v, layout, 0.5, window);
    const Tensor expected = scalar_attention(in.q, in.k, in.v, segments, 0.5, window);
    EXPECT_LE((got - expected).abs().max().item<double>(), 1e-12) << window;
  }
}

TEST(VarlenAttentionGradient, EqualsCentralDifferences) {
  const Segments segments = make_segments({{4, -1}, {3, 0}, {2, 0}, {1, -1}, {5, -1}, {2, 1}});
  for (const std::int64_t window : {kNoWindow, std::int64_t{3}}) {
    const AttentionLayout layout(segments, at::kCPU);
    for (const double softcap : {0.0, 0.8}) {
      Inputs in = make_inputs(count_tokens(segments), 4, 2, 2);
      test::expect_gradients(
          [&](const std::vector<Tensor>& x) {
            return varlen_attention(x[0], x[1], x[2], layout, 0.6, window, softcap);
          },
          {in.q.requires_grad_(), in.k.requires_grad_(), in.v.requires_grad_()});
    }
  }
}

// By blocks, which float64 is not.
TEST(VarlenAttentionFloat, GradientsAreThoseInDouble) {
  const Segments trees =
      make_segments({{150, -1}, {200, 0}, {130, 1}, {3, 1}, {90, 0}, {1, -1}, {210, -1}, {7, 6}});
  const AttentionLayout layout(trees, at::kCPU);
  for (const std::int64_t groups : {1, 2, 6}) {
    for (const std::int64_t window : {kNoWindow, std::int64_t{2}, std::int64_t{100}}) {
      SCOPED_TRACE(testing::Message() << groups << " groups, window " << window);
      const Inputs in = make_inputs(count_tokens(trees), 6, groups, 8);
      const Tensor d_out = at::randn_like(in.q);
      std::vector<std::vector<Tensor>> results;
      for (const auto dtype : {at::kDouble, at::kFloat}) {
        std::vector<Tensor> leaves;
        for (const Tensor& x : {in.q, in.k, in.v}) leaves.push_back(x.to(dtype).clone().requires_grad_());
        const Tensor out = varlen_attention(leaves[0], leaves[1], leaves[2], layout, 0.4, window);
        out.backward(d_out.to(dtype));
        results.push_back({out.detach(), leaves[0].grad(), leaves[1].grad(), leaves[2].grad()});
      }
      for (size_t i = 0; i < 4; ++i) {
        EXPECT_LE((results[1][i].to(at::kDouble) - results[0][i]).norm().item<double>(),
                  1e-6 * results[0][i].norm().item<double>())
            << i;
      }
    }
  }
}

// MKL's kernels may differ within and outside of threads, by the kind of CPU.
TEST(VarlenAttentionFloat, ThreadsChangeTheForwardByRoundingAlone) {
  const Segments trees = make_segments({{60, -1}, {100, 0}, {80, 0}, {33, -1}});
  const AttentionLayout layout(trees, at::kCPU);
  const Inputs in = make_inputs(count_tokens(trees), 6, 3, 16);
  const int threads = at::get_num_threads();
  std::vector<Tensor> results;
  for (const int number : {1, 2, 5}) {
    at::set_num_threads(number);
    results.push_back(
        varlen_attention(in.q.to(at::kFloat), in.k.to(at::kFloat), in.v.to(at::kFloat), layout, 0.4));
  }
  at::set_num_threads(threads);
  for (const Tensor& result : results)
    EXPECT_LE((result - results[0]).norm().item<double>(), 1e-6 * results[0].norm().item<double>());
}

TEST(VarlenAttentionFloat, OfNoTokens) {
  const AttentionLayout layout({}, at::kCPU);
  const Tensor q = at::ones({0, 4, 2}).requires_grad_(), k = at::ones({0, 2, 2}).requires_grad_();
  const Tensor out = varlen_attention(q, k, k, layout, 1);
  EXPECT_EQ(out.sizes(), q.sizes());
  out.sum().backward();
  EXPECT_EQ(k.grad().sizes(), k.sizes());
}

TEST(VarlenAttentionGradient, OfSinksEqualsCentralDifferences) {
  const Segments segments = make_segments({{4, -1}, {3, 0}, {2, 0}, {1, -1}});
  const AttentionLayout layout(segments, at::kCPU);
  Inputs in = make_inputs(count_tokens(segments), 4, 2, 2);
  const Tensor sinks = at::randn({4}, at::TensorOptions(at::kDouble));
  test::expect_gradients(
      [&](const std::vector<Tensor>& x) {
        return varlen_attention(x[0], x[1], x[2], layout, 0.6, /*window=*/3, /*softcap=*/0, x[3]);
      },
      {in.q.requires_grad_(), in.k.requires_grad_(), in.v.requires_grad_(), sinks.requires_grad_()});
}

TEST(VarlenAttentionGradient, WithBiasesEqualsCentralDifferences) {
  const Segments segments = make_segments({{4, -1}, {3, 0}, {2, 0}, {1, -1}});
  const AttentionLayout layout(segments, at::kCPU);
  Inputs in = make_inputs(count_tokens(segments), 4, 2, 2);
  const Alibi alibi{.slopes_H = at::tensor(alibi_slopes(4, 8), at::kDouble)};
  test::expect_gradients(
      [&](const std::vector<Tensor>& x) {
        return varlen_attention(x[0], x[1], x[2], layout, 0.6, kNoWindow, 0, {}, &alibi);
      },
      {in.q.requires_grad_(), in.k.requires_grad_(), in.v.requires_grad_()});
}

// Of the paper: for 8 heads 1/2, 1/4, ... 1/256, for 16 those of every half step.
TEST(Alibi, SlopesArePublished) {
  EXPECT_EQ(alibi_slopes(8, 8),
            (std::vector<double>{0.5, 0.25, 0.125, 0.0625, 0.03125, 0.015625, 0.0078125, 0.00390625}));
  EXPECT_DOUBLE_EQ(alibi_slopes(16, 8)[0], std::sqrt(0.5));
  EXPECT_EQ(alibi_slopes(6, 8), (std::vector<double>{0.25, 0.0625, 0.015625, 0.00390625, 0.5, 0.125}));
}

// A bfloat16 has eight bits: 257 is rounded to 256, and 0.7 to 0.69921875.
TEST(Alibi, MayBeRoundedByPositions) {
  const Alibi alibi{.slopes_H = at::tensor({0.7, 0.5}, at::kDouble), .in_bfloat16 = true, .scale = 0.25};
  const Tensor queries_B1Q1 = at::tensor({258}, at::kInt).view({1, 1, 1, 1});
  const Tensor keys_B11S = at::tensor({257, 2}, at::kInt).view({1, 1, 1, 2});
  const Tensor biases_BHQS = alibi_biases(alibi, queries_B1Q1, keys_B11S, at::kDouble);
  const Tensor expected =
      at::tensor({179.0 - 180.0, 1.3984375 - 180.0, 128.0 - 129.0, 1.0 - 129.0}, at::kDouble);
  EXPECT_TRUE(at::equal(biases_BHQS.flatten(), expected * 0.25)) << biases_BHQS;
}

TEST(AttentionGroups, HoldEverySegmentOnceAndBatchSimilarOnes) {
  std::vector<SegmentShape> shapes;
  for (std::int64_t i = 0; i < 30; ++i) {
    const std::int64_t length = i % 3 == 0 ? 40 + i : 20 + i;
    shapes.push_back({length, length});
  }
  shapes.push_back({2000, 2000});
  const auto groups = plan_attention_groups(shapes);
  std::set<size_t> seen;
  size_t largest = 0;
  for (const auto& group : groups) {
    largest = std::max(largest, group.size());
    for (const size_t member : group) EXPECT_TRUE(seen.insert(member).second);
  }
  EXPECT_EQ(seen.size(), shapes.size());
  EXPECT_GE(largest, 8u);
  const auto of_long =
      std::find_if(groups.begin(), groups.end(), [](const auto& group) { return group.back() == 30; });
  ASSERT_NE(of_long, groups.end());
  EXPECT_EQ(of_long->size(), 1u) << "the long segment must not make others pad to it";
}

// What the variable-length kernel computes of the lengths: the last query of a segment is aligned with its
// last key.
Tensor by_lengths(const Tensor& q, const Tensor& k, const Tensor& v, const AttentionLengths& lengths,
                  double scale) {
  const Tensor keys = lengths.keys ? gather_rows(k, *lengths.keys) : k;
  const Tensor values = lengths.keys ? gather_rows(v, *lengths.keys) : v;
  const std::int64_t heads_per_group = q.size(1) / k.size(1);
  const auto end = [](const Tensor& ends, std::int64_t i) { return ends[i].item<std::int64_t>(); };
  std::vector<Tensor> parts;
  for (std::int64_t i = 0; i + 1 < lengths.cumulative_queries.numel(); ++i) {
    const auto part = [&](const Tensor& x, const Tensor& ends) {
      return x.slice(0, end(ends, i), end(ends, i + 1)).transpose(0, 1);
    };
    const Tensor q_HQK = part(q, lengths.cumulative_queries);
    const Tensor k_HSK = part(keys, lengths.cumulative_keys).repeat_interleave(heads_per_group, 0);
    const Tensor v_HSK = part(values, lengths.cumulative_keys).repeat_interleave(heads_per_group, 0);
    const Tensor hidden =
        at::ones({q_HQK.size(1), k_HSK.size(1)}, at::kBool).triu(k_HSK.size(1) - q_HQK.size(1) + 1);
    const Tensor scores = (at::matmul(q_HQK, k_HSK.transpose(1, 2)) * scale)
                              .masked_fill(hidden, -std::numeric_limits<double>::infinity());
    parts.push_back(at::matmul(at::softmax(scores, -1), v_HSK).transpose(0, 1));
  }
  return at::cat(parts);
}

TEST(AttentionLengths, MeanWhatTheGroupsMean) {
  for (const Segments& segments : {kMixed, make_segments({{5, -1}, {9, -1}})}) {
    const AttentionLayout layout(segments, at::kCPU);
    const Inputs in = make_inputs(count_tokens(segments), 4, 2, 8);
    std::vector<std::vector<Tensor>> results;
    for (const bool grouped : {true, false}) {
      std::vector<Tensor> leaves;
      for (const Tensor& x : {in.q, in.k, in.v}) leaves.push_back(x.detach().clone().requires_grad_());
      const Tensor out = grouped ? varlen_attention(leaves[0], leaves[1], leaves[2], layout, 0.3)
                                 : by_lengths(leaves[0], leaves[1], leaves[2], layout.lengths(), 0.3);
      (out * at::arange(out.numel(), out.options()).view(out.sizes()).cos()).sum().backward();
      results.push_back({out.detach(), leaves[0].grad(), leaves[1].grad(), leaves[2].grad()});
    }
    for (size_t i = 0; i < 4; ++i) EXPECT_TRUE(at::allclose(results[0][i], results[1][i], 1e-11, 1e-12)) << i;
  }
}

TEST(AttentionLengths, GatherNothingWithoutPrefixes) {
  EXPECT_FALSE(AttentionLayout(make_segments({{5, -1}, {9, -1}}), at::kCPU).lengths().keys.has_value());
  EXPECT_TRUE(AttentionLayout(make_segments({{5, -1}, {9, 0}}), at::kCPU).lengths().keys.has_value());
}

TEST(AttentionLayoutChecks, SegmentsThatDoNotFit) {
  const auto make = [](Segments segments) { return AttentionLayout(std::move(segments), at::kCPU); };
  EXPECT_THROW(make({{1, 4}}), Error);                     // does not begin at 0
  EXPECT_THROW(make({{0, 4}, {5, 1}}), Error);             // a hole
  EXPECT_THROW(make({{0, 0}}), Error);                     // empty
  EXPECT_THROW(make({{0, 4}, {4, 2, 1}}), Error);          // its own parent
  EXPECT_THROW(make({{0, 4}, {4, 2, 2}, {6, 1}}), Error);  // a later one
  EXPECT_THROW(make({{0, 4}, {4, 2, -2}}), Error);
  const AttentionLayout chain = make({{0, 4}, {4, 2, 0}, {6, 3, 1}});
  EXPECT_EQ(chain.max_key_length(), 9);
  EXPECT_EQ(chain.prefix_length(2), 6);
  EXPECT_EQ(make({}).num_tokens(), 0);
}

TEST(VarlenAttentionChecks, TensorsThatDoNotFit) {
  const AttentionLayout layout(make_segments({{4, -1}}), at::kCPU);
  const auto run = [&](at::IntArrayRef q, at::IntArrayRef k, at::IntArrayRef v, std::int64_t window) {
    return varlen_attention(at::ones(q), at::ones(k), at::ones(v), layout, 1, window);
  };
  EXPECT_NO_THROW(run({4, 4, 2}, {4, 2, 2}, {4, 2, 2}, 1));
  EXPECT_THROW(run({4, 8}, {4, 2, 2}, {4, 2, 2}, 1), Error);
  EXPECT_THROW(run({4, 4, 2}, {4, 2, 2}, {4, 1, 2}, 1), Error);
  EXPECT_THROW(run({5, 4, 2}, {5, 2, 2}, {5, 2, 2}, 1), Error);
  EXPECT_THROW(run({4, 3, 2}, {4, 2, 2}, {4, 2, 2}, 1), Error);
  EXPECT_THROW(run({4, 4, 3}, {4, 2, 2}, {4, 2, 2}, 1), Error);
  EXPECT_THROW(run({4, 4, 2}, {4, 2, 2}, {4, 2, 2}, 0), Error);
  const Alibi alibi{.slopes_H = at::ones({4}, at::kDouble)};
  const Tensor x = at::ones({4, 4, 2});
  EXPECT_THROW(varlen_attention(x, x, x, layout, 1, kNoWindow, /*softcap=*/2, {}, &alibi), Error);
}

TEST(VarlenAttentionGpu, EqualsTheCpuForwardAndBackward) {
  if (!torch::cuda::is_available()) GTEST_SKIP() << "no CUDA device";
  const AttentionLayout cpu_layout(kMixed, at::kCPU), gpu_layout(kMixed, at::kCUDA);
  for (const auto& [dtype, tolerance] :
       {std::pair(at::kBFloat16, 3e-2), {at::kHalf, 4e-3}, {at::kFloat, 1e-5}}) {
    for (const std::int64_t window : {kNoWindow, std::int64_t{5}}) {
      const Inputs in = make_inputs(count_tokens(kMixed), 6, 2, 16);
      std::vector<Tensor> results;
      for (const bool gpu : {false, true}) {
        std::vector<Tensor> leaves;
        for (const Tensor& x : {in.q, in.k, in.v}) {
          // The CPU starts from the same rounded values and computes in double.
          const Tensor rounded = x.to(dtype);
          leaves.push_back((gpu ? rounded.to(at::kCUDA) : rounded.to(at::kDouble)).detach().requires_grad_());
        }
        const Tensor out =
            varlen_attention(leaves[0], leaves[1], leaves[2], gpu ? gpu_layout : cpu_layout, 0.3, window);
        out.sum().backward();
        results.push_back(out.detach().to(at::kCPU, at::kDouble));
        for (const Tensor& leaf : leaves) results.push_back(leaf.grad().to(at::kCPU, at::kDouble));
      }
      for (size_t i = 0; i < 4; ++i) {
        const double scale = results[i].norm().item<double>();
        EXPECT_LE((results[i + 4] - results[i]).norm().item<double>(), tolerance * scale)
            << dtype << " " << window << " " << i;
      }
    }
  }
}

}  // namespace
}  // namespace ddro::ops
