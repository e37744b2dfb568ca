// The head's chunk on the CPU: composed of ATen functions, which is the definition, and for logits in float32
// without a cap a row at a time.
//
// Legend: C completion tokens, V vocabulary, B tokens of a block.
#include <ATen/ATen.h>
#include <ATen/OpMathType.h>

#include <algorithm>
#include <cmath>

#include "ddro/ops/parallel_for.h"
#include "ops/cpu/float_rows.h"
#include "ops/logprob_head_device.h"

namespace ddro::ops::cpu {
namespace {

// Elements of a block of rows, which several operations pass over: it should stay in the cores' caches.
constexpr std::int64_t kBlockElements = std::int64_t{1} << 19;

// Overwrites x by softcap * tanh(x / softcap); its derivative.
Tensor cap(Tensor& x, double softcap) {
  x.div_(softcap).tanh_();
  const Tensor slope = 1 - x.square();
  x.mul_(softcap);
  return slope;
}

// A row stays in a core's cache for the passes over it. The same bits with a residual, which is of T, and
// without.
template <typename T>
Tensor target_logprobs_by_rows(const Tensor& logits_CV, const Tensor& targets_C, const Tensor& residual_CV) {
  const std::int64_t width = logits_CV.size(1);
  Tensor logp_C = at::empty({logits_CV.size(0)}, logits_CV.options());
  auto* logits = logits_CV.mutable_data_ptr<float>();
  const auto* targets = targets_C.const_data_ptr<std::int64_t>();
  auto* residuals = residual_CV.defined() ? residual_CV.mutable_data_ptr<T>() : nullptr;
  auto* logps = logp_C.mutable_data_ptr<float>();
  parallel_for(0, logits_CV.size(0), 1, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t row = first; row < last; ++row) {
      float* logits_V = logits + row * width;  // which become their exponentials
      const float largest = largest_of_row(logits_V, width);
      const float of_target = logits_V[targets[row]] - largest;
      const float sum = exp_row(logits_V, largest, width, logits_V);
      logps[row] = of_target - std::log(sum);
      if (residuals == nullptr) continue;
      T* residuals_V = residuals + row * width;
      const float others = logits_V[targets[row]] * (-1 / sum) + 1;
      scaled_row(logits_V, -1 / sum, width, residuals_V);
      residuals_V[targets[row]] = static_cast<T>(others);
    }
  });
  return logp_C;
}

}  // namespace

Tensor target_logprobs(Tensor logits_CV, const Tensor& targets_C, Tensor residual_CV, double softcap) {
  if (logits_CV.scalar_type() == at::kFloat && softcap == 0 && logits_CV.size(1) > 0) {
    if (!residual_CV.defined() || residual_CV.scalar_type() == at::kFloat)
      return target_logprobs_by_rows<float>(logits_CV, targets_C, residual_CV);
    if (residual_CV.scalar_type() == at::kBFloat16)
      return target_logprobs_by_rows<BFloat16>(logits_CV, targets_C, residual_CV);
  }
  return composed_target_logprobs(logits_CV, targets_C, residual_CV, softcap);
}

Tensor composed_target_logprobs(Tensor logits_CV, const Tensor& targets_C, Tensor residual_CV,
                                double softcap) {
  const at::ScalarType wide = at::toOpMathType(logits_CV.scalar_type());
  const std::int64_t num_tokens = logits_CV.size(0);
  const std::int64_t block_tokens = std::max<std::int64_t>(1, kBlockElements / logits_CV.size(1));
  Tensor logp_C = at::empty({num_tokens}, logits_CV.options().dtype(wide));
  for (std::int64_t begin = 0; begin < num_tokens; begin += block_tokens) {
    const std::int64_t size = std::min(block_tokens, num_tokens - begin);
    const Tensor targets_B1 = targets_C.narrow(0, begin, size).unsqueeze(1);
    Tensor work_BV = logits_CV.narrow(0, begin, size).to(wide);  // the block itself when it is wide already
    const Tensor slope_BV = softcap > 0 ? cap(work_BV, softcap) : Tensor();
    work_BV.sub_(work_BV.amax(1, /*keepdim=*/true));
    const Tensor target_B1 = work_BV.gather(1, targets_B1);
    work_BV.exp_();
    const Tensor sum_B1 = work_BV.sum(1, /*keepdim=*/true);
    logp_C.narrow(0, begin, size).copy_((target_B1 - sum_B1.log()).squeeze(1));
    if (!residual_CV.defined()) continue;
    work_BV.div_(-sum_B1);
    work_BV.scatter_add_(1, targets_B1, at::ones_like(target_B1));
    if (slope_BV.defined()) work_BV.mul_(slope_BV);
    Tensor residual_BV = residual_CV.narrow(0, begin, size);
    if (residual_BV.data_ptr() != work_BV.data_ptr()) residual_BV.copy_(work_BV);
  }
  return logp_C;
}

}  // namespace ddro::ops::cpu
