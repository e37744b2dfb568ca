// Tensors as they were at one moment, for a writer that goes on while they change.
#pragma once

#include "ddro/base/tensor_io.h"

namespace ddro::checkpoint {

class HostCopy {
 public:
  // Copies all of `sources` into the host's memory: pinned where they come from a GPU, and kept for the next
  // time. What an earlier call returned then holds the new values.
  const NamedTensors& take(const TensorSources& sources);

 private:
  NamedTensors buffers_;
};

}  // namespace ddro::checkpoint
