// The gradient of ddro/ops/gather_rows.h.
//
// Legend: T rows, J places.
#pragma once

#include "ddro/ops/gather_rows.h"

namespace ddro::ops {

// T x ...: sums of the rows of d_y (J x ..., contiguous) that belong together, in d_y's type.
namespace cpu {
Tensor sum_rows(const Tensor& d_y, const RowGather& gather);
}
namespace cuda {
Tensor sum_rows(const Tensor& d_y, const RowGather& gather);
}

}  // namespace ddro::ops
