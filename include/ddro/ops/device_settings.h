// What LibTorch does on a GPU by itself and is told not to do.
#pragma once

#include "ddro/base/tensor.h"

namespace ddro::ops {

// For the whole process; nothing on the CPU. Attention over a cache never takes cuDNN, which plans for tens
// of milliseconds at every new length. Products of half types whose sums are split among blocks keep the
// parts in float32.
void apply_device_settings(at::Device device);

}  // namespace ddro::ops
