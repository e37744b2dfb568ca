#include <ATen/ATen.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include "ddro/base/error.h"
#include "ops/cuda/float_type_of.h"
#include "ops/cuda/rotary_kernel.h"
#include "ops/rotary_device.h"

namespace ddro::ops::cuda {

Tensor rotary(const Tensor& x_THK, const Tensor& cos_T1K, const Tensor& sin_T1K, bool inverse) {
  DDRO_CHECK(x_THK.dim() == 3 && x_THK.size(2) % 2 == 0, "heads have two halves");
  for (const Tensor& table : {cos_T1K, sin_T1K}) {
    DDRO_CHECK(table.dim() == 3 && table.size(0) == x_THK.size(0) && table.size(1) == 1 &&
                   table.size(2) == x_THK.size(2),
               "an angle for each token and component");
    DDRO_CHECK(table.device() == x_THK.device() && table.scalar_type() == x_THK.scalar_type(),
               "angles are like the heads");
  }
  const c10::cuda::CUDAGuard guard(x_THK.device());
  const Tensor x = x_THK.contiguous(), cos = cos_T1K.contiguous(), sin = sin_T1K.contiguous();
  Tensor y_THK = at::empty_like(x);
  C10_CUDA_CHECK(launch_rotary(float_type_of(x), x.const_data_ptr(), cos.const_data_ptr(),
                               sin.const_data_ptr(), y_THK.data_ptr(), x.size(0), x.size(1), x.size(2),
                               inverse, c10::cuda::getCurrentCUDAStream().stream()));
  return y_THK;
}

}  // namespace ddro::ops::cuda
