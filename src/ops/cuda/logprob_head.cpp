// Legend: C completion tokens, V vocabulary.
#include <ATen/OpMathType.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include "ddro/base/error.h"
#include "ops/cuda/logprob_head_kernel.h"
#include "ops/logprob_head_device.h"

namespace ddro::ops::cuda {
namespace {

LogitsType logits_type(at::ScalarType dtype) {
  switch (dtype) {
    case at::kHalf:
      return LogitsType::kFloat16;
    case at::kBFloat16:
      return LogitsType::kBFloat16;
    case at::kFloat:
      return LogitsType::kFloat32;
    case at::kDouble:
      return LogitsType::kFloat64;
    default:
      check_failed("known dtype", __FILE__, __LINE__, "logits are float16, bfloat16, float32 or float64");
  }
}

}  // namespace

Tensor target_logprobs(Tensor logits_CV, const Tensor& targets_C, Logits after) {
  DDRO_CHECK(logits_CV.is_contiguous() && targets_C.is_contiguous(), "rows follow each other");
  const c10::cuda::CUDAGuard guard(logits_CV.device());
  const at::ScalarType wide = at::toOpMathType(logits_CV.scalar_type());
  Tensor logp_C = at::empty({logits_CV.size(0)}, logits_CV.options().dtype(wide));
  C10_CUDA_CHECK(launch_target_logprobs(logits_type(logits_CV.scalar_type()), logits_CV.data_ptr(),
                                        targets_C.const_data_ptr<std::int64_t>(), logp_C.data_ptr(),
                                        logits_CV.size(0), logits_CV.size(1), after == Logits::kResidual,
                                        c10::cuda::getCurrentCUDAStream().stream()));
  return logp_C;
}

}  // namespace ddro::ops::cuda
