// Tensors as they were at one moment, for a writer that goes on while they change.
#pragma once

#include "ddro/base/tensor_io.h"

namespace ddro::checkpoint {

class HostCopy {
 public:
  // Gets the memory that a first take() of such tensors on `device` fills, from the system as well: to be
  // done before something waits for it.
  void make_room(const TensorSources& sources, at::Device device);
  // Copies all of `sources` into the host's memory: pinned where they come from a GPU, and kept for the next
  // time. What an earlier call returned then holds the new values.
  const NamedTensors& take(const TensorSources& sources);

 private:
  void fit(size_t place, const TensorSource& source, at::Device device);

  NamedTensors buffers_;
};

}  // namespace ddro::checkpoint
