#include <ATen/ATen.h>
#include <ATen/OpMathType.h>

#include "ops/gather_rows_device.h"

namespace ddro::ops::cpu {

// index_add_ takes the rows one after the other.
Tensor sum_rows(const Tensor& d_y, const RowGather& gather) {
  std::vector<std::int64_t> sizes = d_y.sizes().vec();
  sizes[0] = gather.offsets_T1.size(0) - 1;
  const at::ScalarType wide = at::toOpMathType(d_y.scalar_type());
  return at::zeros(sizes, d_y.options().dtype(wide))
      .index_add_(0, gather.rows_J, d_y.to(wide))
      .to(d_y.scalar_type());
}

}  // namespace ddro::ops::cpu
