// A tensor's element type as the launchers name it: what the adapters share.
#pragma once

#include "ddro/base/error.h"
#include "ddro/base/tensor.h"
#include "ops/cuda/float_type.h"

namespace ddro::ops::cuda {

inline FloatType float_type_of(const Tensor& tensor) {
  switch (tensor.scalar_type()) {
    case at::kHalf:
      return FloatType::kFloat16;
    case at::kBFloat16:
      return FloatType::kBFloat16;
    case at::kFloat:
      return FloatType::kFloat32;
    case at::kDouble:
      return FloatType::kFloat64;
    default:
      check_failed("known dtype", __FILE__, __LINE__, "float16, bfloat16, float32 or float64");
  }
}

}  // namespace ddro::ops::cuda
