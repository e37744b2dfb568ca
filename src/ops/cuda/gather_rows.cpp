#include <ATen/ATen.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include <algorithm>

#include "ops/cuda/float_type_of.h"
#include "ops/cuda/gather_rows_kernel.h"
#include "ops/gather_rows_device.h"

namespace ddro::ops::cuda {

Tensor sum_rows(const Tensor& d_y, const RowGather& gather) {
  const c10::cuda::CUDAGuard guard(d_y.device());
  std::vector<std::int64_t> sizes = d_y.sizes().vec();
  sizes[0] = gather.offsets_T1.size(0) - 1;
  Tensor sums = at::empty(sizes, d_y.options());
  C10_CUDA_CHECK(launch_sum_rows(
      float_type_of(d_y), d_y.const_data_ptr(), gather.places_J.const_data_ptr<std::int64_t>(),
      gather.offsets_T1.const_data_ptr<std::int64_t>(), sums.data_ptr(), sizes[0],
      sums.numel() / std::max<std::int64_t>(1, sizes[0]), c10::cuda::getCurrentCUDAStream().stream()));
  return sums;
}

}  // namespace ddro::ops::cuda
