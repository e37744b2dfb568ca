// Legend: C completion tokens, D width, V vocabulary, N completions.
#include "ddro/ops/logprob_head.h"

#include <ATen/ATen.h>
#include <ATen/OpMathType.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>

#include "ddro/base/error.h"
#include "ddro/ops/packed.h"
#include "ddro/ops/product.h"
#include "ops/logprob_head_device.h"

namespace ddro::ops {
namespace {

// Consecutive tokens or completions.
struct Range {
  std::int64_t begin = 0;
  std::int64_t end = 0;
  std::int64_t size() const { return end - begin; }
};

void check_targets(const HeadInput& input) {
  if (input.targets_C.numel() == 0 || input.targets_C.is_cuda()) return;
  const std::int64_t vocabulary = input.weight_VD.size(0);
  const auto [smallest, largest] = input.targets_C.aminmax();
  const std::int64_t low = smallest.item<std::int64_t>();
  const std::int64_t high = largest.item<std::int64_t>();
  if (low >= 0 && high < vocabulary) return;
  throw model_error("[head] token id outside the model's vocabulary; got " +
                    std::to_string(low < 0 ? low : high) + ", expected 0 to " +
                    std::to_string(vocabulary - 1) + "; do model and tokenizer belong together?");
}

void check(const HeadInput& input, const HeadOptions& options) {
  const Tensor& hidden = input.hidden_CD;
  const Tensor& weight = input.weight_VD;
  DDRO_CHECK(hidden.dim() == 2 && weight.dim() == 2 && input.targets_C.dim() == 1, "C x D, V x D and C");
  DDRO_CHECK(hidden.size(1) == weight.size(1) && hidden.size(0) == input.targets_C.size(0), "C and D agree");
  DDRO_CHECK(hidden.scalar_type() == weight.scalar_type() && at::isFloatingType(hidden.scalar_type()),
             "one floating dtype");
  DDRO_CHECK(input.targets_C.scalar_type() == at::kLong, "targets are int64");
  DDRO_CHECK(hidden.device() == weight.device() && hidden.device() == input.targets_C.device(), "one device");
  const std::vector<std::int64_t>& offsets = input.completion_offsets;
  DDRO_CHECK(!offsets.empty() && offsets.front() == 0 && offsets.back() == hidden.size(0) &&
                 std::is_sorted(offsets.begin(), offsets.end()),
             "completion offsets ascend from 0 to C");
  DDRO_CHECK(options.chunk_tokens >= 0 && input.softcap >= 0, "a chunk holds a token, a cap is not negative");
  check_targets(input);
}

void check_units(const HeadInput& input, std::span<const std::int64_t> unit_offsets) {
  const auto num_completions = static_cast<std::int64_t>(input.completion_offsets.size()) - 1;
  DDRO_CHECK(!unit_offsets.empty() && unit_offsets.front() == 0 && unit_offsets.back() == num_completions &&
                 std::is_sorted(unit_offsets.begin(), unit_offsets.end()),
             "unit offsets ascend from 0 to N");
}

std::int64_t resolved_chunk_tokens(const HeadInput& input, const HeadOptions& options) {
  return options.chunk_tokens > 0 ? options.chunk_tokens
                                  : default_chunk_tokens(input.weight_VD.size(0), input.weight_VD.device());
}

// What the logits of these hidden states are computed in: float32 where there are products of half types with
// such a result, or none but float32's; a logit of 16 to 32 in bfloat16 would be off by up to 0.06.
at::ScalarType logits_type(at::ScalarType hidden, at::Device device) {
  return has_wide_product(hidden, device) ? at::kFloat : product_type(hidden, device);
}

enum class Keep { kNothing, kResidual };

// One call's tensors and the buffers that every chunk's logits pass through.
class HeadPass {
 public:
  HeadPass(const HeadInput& input, std::int64_t chunk_tokens)
      : hidden_CD_(input.hidden_CD.to(product_type(input.hidden_CD))),
        weight_VD_(input.weight_VD),
        targets_C_(input.targets_C.contiguous()),
        bias_V_(input.bias_V.defined() ? input.bias_V.to(hidden_CD_.scalar_type()) : Tensor()),
        offsets_(input.completion_offsets),
        softcap_(input.softcap),
        chunk_tokens_(chunk_tokens),
        logp_(offsets_.size() - 1, 0.0),
        dloss_dlogp_(logp_.size(), 0.0) {
    logits_CV_ =
        at::empty({std::min(chunk_tokens_, hidden_CD_.size(0)), weight_VD_.size(0)},
                  hidden_CD_.options().dtype(logits_type(hidden_CD_.scalar_type(), hidden_CD_.device())));
    if (bias_V_.defined())
      d_bias_V_ =
          at::zeros(bias_V_.sizes(), bias_V_.options().dtype(at::toOpMathType(bias_V_.scalar_type())));
    completion_of_C_.reserve(static_cast<size_t>(hidden_CD_.size(0)));
    for (size_t completion = 0; completion < logp_.size(); ++completion) {
      completion_of_C_.insert(completion_of_C_.end(),
                              static_cast<size_t>(offsets_[completion + 1] - offsets_[completion]),
                              completion);
    }
  }

  std::vector<double>& logp() { return logp_; }
  const Tensor& d_bias_V() const { return d_bias_V_; }
  std::span<double> dloss_dlogp() { return dloss_dlogp_; }

  Range tokens_of(Range completions) const {
    return {offsets_[static_cast<size_t>(completions.begin)], offsets_[static_cast<size_t>(completions.end)]};
  }

  // `tokens` cut into what fits the buffer.
  std::vector<Range> pieces(Range tokens) const {
    std::vector<Range> result;
    for (std::int64_t begin = tokens.begin; begin < tokens.end; begin += chunk_tokens_) {
      result.push_back({begin, std::min(begin + chunk_tokens_, tokens.end)});
    }
    return result;
  }

  // Log-probabilities of the tokens, summed into logp() when `sum`.
  void forward(Range tokens, Keep keep, bool sum) {
    Tensor logits_CV = logits_CV_.narrow(0, 0, tokens.size());
    multiply(tokens, logits_CV);
    const Tensor residual_CV =
        keep == Keep::kResidual ? residual_buffer().narrow(0, 0, tokens.size()) : Tensor();
    const Tensor targets_C = targets_C_.narrow(0, tokens.begin, tokens.size());
    const Tensor logp_C = logits_CV.is_cuda()
                              ? cuda::target_logprobs(logits_CV, targets_C, residual_CV, softcap_)
                              : cpu::target_logprobs(logits_CV, targets_C, residual_CV, softcap_);
    if (sum) add(tokens, logp_C);
  }

  // The tokens' logp + H, summed into logp().
  void add_excess(Range tokens) {
    Tensor logits_CV = logits_CV_.narrow(0, 0, tokens.size());
    multiply(tokens, logits_CV);
    Tensor wide_CV = logits_CV.to(at::toOpMathType(logits_CV.scalar_type()));
    if (softcap_ > 0) wide_CV = at::tanh(wide_CV / softcap_) * softcap_;
    const Tensor logp_CV = at::log_softmax(wide_CV, -1);
    const Tensor targets_C1 = targets_C_.narrow(0, tokens.begin, tokens.size()).unsqueeze(1);
    const Tensor excess_C =
        logp_CV.gather(1, targets_C1).squeeze(1) + at::special_entr(logp_CV.exp()).sum(-1);
    add(tokens, excess_C);
  }

  // Gradients of tokens whose residuals onehot - softmax are in the buffer. A completion's coefficient is
  // applied on the D side, where there are V/D times fewer numbers than in the residuals.
  void backward(Range tokens, Tensor d_hidden_CD, Tensor d_weight_VD) {
    const Tensor residual_CV = residual_buffer().narrow(0, 0, tokens.size());
    const Tensor coefficient_C1 = coefficients(tokens);
    Tensor d_hidden = d_hidden_CD.narrow(0, tokens.begin, tokens.size());
    for_parts_of(weight_VD_, hidden_CD_.scalar_type(), [&](std::int64_t first, const Tensor& part_VD) {
      const Tensor residual = residual_CV.narrow(1, first, part_VD.size(0));
      if (first == 0) {
        at::mm_out(d_hidden, residual, part_VD);
      } else {
        d_hidden.addmm_(residual, part_VD);
      }
    });
    d_hidden.mul_(coefficient_C1);
    if (bias_V_.defined())
      add_product(d_bias_V_.unsqueeze(1), residual_CV.t(), coefficient_C1.to(hidden_CD_.scalar_type()));
    if (!d_weight_VD.defined()) return;
    const Tensor scaled_CD =
        hidden_CD_.narrow(0, tokens.begin, tokens.size()).mul(coefficient_C1).to(hidden_CD_.scalar_type());
    add_product(d_weight_VD, residual_CV.t(), scaled_CD);
  }

 private:
  void multiply(Range tokens, Tensor& logits_CV) const {
    const Tensor hidden_CD = hidden_CD_.narrow(0, tokens.begin, tokens.size());
    if (logits_CV.scalar_type() != hidden_CD.scalar_type()) {
      wide_product(logits_CV, hidden_CD, weight_VD_.t());
      if (bias_V_.defined()) logits_CV.add_(bias_V_);
      return;
    }
    for_parts_of(weight_VD_, hidden_CD.scalar_type(), [&](std::int64_t first, const Tensor& part_VD) {
      Tensor part_CV = logits_CV.narrow(1, first, part_VD.size(0));
      if (bias_V_.defined()) {
        at::addmm_out(part_CV, bias_V_.narrow(0, first, part_VD.size(0)), hidden_CD, part_VD.t());
      } else {
        at::mm_out(part_CV, hidden_CD, part_VD.t());
      }
    });
  }

  void add(Range tokens, const Tensor& values_C) {
    const Tensor host_C = values_C.to(at::kCPU, at::kDouble);  // where the host waits for a GPU
    const double* values = host_C.const_data_ptr<double>();
    for (std::int64_t c = 0; c < tokens.size(); ++c) logp_[completion_of(tokens.begin + c)] += values[c];
  }

  // In the type of the products that follow; where that is the logits', in their place.
  const Tensor& residual_buffer() {
    if (!residual_CV_.defined()) {
      const bool same = logits_CV_.scalar_type() == hidden_CD_.scalar_type();
      residual_CV_ = same ? logits_CV_ : at::empty(logits_CV_.sizes(), hidden_CD_.options());
    }
    return residual_CV_;
  }

  size_t completion_of(std::int64_t token) const { return completion_of_C_[static_cast<size_t>(token)]; }

  Tensor coefficients(Range tokens) const {
    Tensor result_C1 =
        at::empty({tokens.size(), 1}, at::TensorOptions(at::kDouble).pinned_memory(hidden_CD_.is_cuda()));
    double* values = result_C1.mutable_data_ptr<double>();
    for (std::int64_t c = 0; c < tokens.size(); ++c)
      values[c] = dloss_dlogp_[completion_of(tokens.begin + c)];
    return result_C1.to(hidden_CD_.device(), /*non_blocking=*/true)
        .to(at::toOpMathType(hidden_CD_.scalar_type()));
  }

  Tensor hidden_CD_, weight_VD_, targets_C_, bias_V_, d_bias_V_;
  const std::vector<std::int64_t>& offsets_;
  double softcap_;
  std::int64_t chunk_tokens_;
  std::vector<double> logp_, dloss_dlogp_;
  Tensor logits_CV_, residual_CV_;
  std::vector<size_t> completion_of_C_;
};

// Consecutive units joined while their tokens fit a chunk; a longer unit is alone.
std::vector<Range> join_units(const HeadPass& pass, std::span<const std::int64_t> unit_offsets,
                              std::int64_t chunk_tokens) {
  std::vector<Range> chunks;
  for (size_t i = 0; i + 1 < unit_offsets.size(); ++i) {
    const Range unit = {unit_offsets[i], unit_offsets[i + 1]};
    if (!chunks.empty() && pass.tokens_of({chunks.back().begin, unit.end}).size() <= chunk_tokens) {
      chunks.back().end = unit.end;
    } else {
      chunks.push_back(unit);
    }
  }
  return chunks;
}

}  // namespace

std::int64_t default_chunk_tokens(std::int64_t vocabulary, at::Device device) {
  const std::int64_t max_numbers = std::int64_t{1} << (device.is_cuda() ? 28 : 26);
  return std::clamp<std::int64_t>(max_numbers / vocabulary, 256, device.is_cuda() ? 8192 : 2048);
}

double bytes_of_logit(at::ScalarType dtype, at::Device device) {
  const at::ScalarType logit = logits_type(dtype, device);
  const at::ScalarType residual = product_type(dtype, device);
  return static_cast<double>(at::elementSize(logit) + (logit == residual ? 0 : at::elementSize(residual)));
}

std::vector<double> completion_logprobs(const HeadInput& input, std::span<const std::int64_t> unit_offsets,
                                        const HeadOptions& options) {
  check(input, options);
  check_units(input, unit_offsets);
  const at::NoGradGuard no_grad;
  const std::int64_t chunk_tokens = resolved_chunk_tokens(input, options);
  HeadPass pass(input, chunk_tokens);
  for (const Range completions : join_units(pass, unit_offsets, chunk_tokens)) {
    for (const Range piece : pass.pieces(pass.tokens_of(completions)))
      pass.forward(piece, Keep::kNothing, true);
  }
  return std::move(pass.logp());
}

std::vector<double> excess_logprobs(const HeadInput& input, const HeadOptions& options) {
  check(input, options);
  const at::NoGradGuard no_grad;
  // Some more matrices of a chunk's size than a log-probability takes.
  HeadPass pass(input, std::max<std::int64_t>(resolved_chunk_tokens(input, options) / 4, 1));
  for (const Range piece : pass.pieces({0, input.hidden_CD.size(0)})) pass.add_excess(piece);
  return std::move(pass.logp());
}

HeadResult fused_logprob_head(const HeadInput& input, std::span<const std::int64_t> unit_offsets,
                              const CompletionGradient& gradient, Tensor d_weight_VD,
                              const HeadOptions& options) {
  check(input, options);
  check_units(input, unit_offsets);
  DDRO_CHECK(!d_weight_VD.defined() ||
                 (d_weight_VD.sizes() == input.weight_VD.sizes() &&
                  d_weight_VD.device() == input.weight_VD.device() && d_weight_VD.is_contiguous()),
             "d_weight is like the weight");
  DDRO_CHECK(!d_weight_VD.defined() || d_weight_VD.scalar_type() == at::kFloat ||
                 d_weight_VD.scalar_type() == at::kDouble,
             "d_weight is float32 or float64");
  const at::NoGradGuard no_grad;
  const std::int64_t chunk_tokens = resolved_chunk_tokens(input, options);
  HeadPass pass(input, chunk_tokens);
  Tensor d_hidden_CD =
      at::empty(input.hidden_CD.sizes(), input.hidden_CD.options().dtype(product_type(input.hidden_CD)));
  for (const Range completions : join_units(pass, unit_offsets, chunk_tokens)) {
    const std::vector<Range> pieces = pass.pieces(pass.tokens_of(completions));
    // The buffer keeps one piece's residuals; with more, each is computed again once the coefficients are
    // known.
    const bool one_pass = pieces.size() <= 1;
    for (const Range piece : pieces) pass.forward(piece, one_pass ? Keep::kResidual : Keep::kNothing, true);
    const auto first = static_cast<size_t>(completions.begin);
    const auto count = static_cast<size_t>(completions.size());
    gradient(completions.begin, std::span<const double>(pass.logp()).subspan(first, count),
             pass.dloss_dlogp().subspan(first, count));
    for (const Range piece : pieces) {
      if (!one_pass) pass.forward(piece, Keep::kResidual, false);
      pass.backward(piece, d_hidden_CD, d_weight_VD);
    }
  }
  return {std::move(pass.logp()), d_hidden_CD.to(input.hidden_CD.scalar_type()), pass.d_bias_V()};
}

}  // namespace ddro::ops
