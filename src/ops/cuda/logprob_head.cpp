// Legend: C completion tokens, V vocabulary.
#include <ATen/ATen.h>
#include <ATen/OpMathType.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include "ddro/base/error.h"
#include "ops/cuda/float_type_of.h"
#include "ops/cuda/logprob_head_kernel.h"
#include "ops/logprob_head_device.h"

namespace ddro::ops::cuda {

Tensor target_logprobs(Tensor logits_CV, const Tensor& targets_C, Logits after, double softcap) {
  DDRO_CHECK(logits_CV.is_contiguous() && targets_C.is_contiguous(), "rows follow each other");
  const c10::cuda::CUDAGuard guard(logits_CV.device());
  const at::ScalarType wide = at::toOpMathType(logits_CV.scalar_type());
  Tensor logp_C = at::empty({logits_CV.size(0)}, logits_CV.options().dtype(wide));
  C10_CUDA_CHECK(launch_target_logprobs(float_type_of(logits_CV), logits_CV.data_ptr(),
                                        targets_C.const_data_ptr<std::int64_t>(), logp_C.data_ptr(),
                                        logits_CV.size(0), logits_CV.size(1), after == Logits::kResidual,
                                        softcap, c10::cuda::getCurrentCUDAStream().stream()));
  return logp_C;
}

}  // namespace ddro::ops::cuda
