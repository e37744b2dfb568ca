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

Tensor target_logprobs(Tensor logits_CV, const Tensor& targets_C, Tensor residual_CV, double softcap) {
  const Tensor& typed_CV = residual_CV.defined() ? residual_CV : logits_CV;
  DDRO_CHECK(logits_CV.is_contiguous() && typed_CV.is_contiguous() && targets_C.is_contiguous(),
             "rows follow each other");
  DDRO_CHECK(logits_CV.scalar_type() == at::toOpMathType(typed_CV.scalar_type()) &&
                 logits_CV.sizes() == typed_CV.sizes(),
             "logits are what the residual is computed in");
  const c10::cuda::CUDAGuard guard(logits_CV.device());
  Tensor logp_C = at::empty({logits_CV.size(0)}, logits_CV.options());
  C10_CUDA_CHECK(launch_target_logprobs(
      float_type_of(typed_CV), logits_CV.const_data_ptr(), targets_C.const_data_ptr<std::int64_t>(),
      logp_C.data_ptr(), residual_CV.defined() ? residual_CV.data_ptr() : nullptr, logits_CV.size(0),
      logits_CV.size(1), softcap, c10::cuda::getCurrentCUDAStream().stream()));
  return logp_C;
}

}  // namespace ddro::ops::cuda
