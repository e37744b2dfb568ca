#include "ddro/checkpoint/host_copy.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <optional>

namespace ddro::checkpoint {
namespace {

bool fits(const std::pair<std::string, Tensor>& buffer, const TensorSource& source) {
  return buffer.first == source.name && buffer.second.scalar_type() == source.dtype &&
         buffer.second.sizes() == source.sizes;
}

Tensor buffer_for(const TensorSource& source, at::Device device) {
  return at::empty(source.sizes, at::TensorOptions().dtype(source.dtype).pinned_memory(device.is_cuda()));
}

}  // namespace

const NamedTensors& HostCopy::take(const TensorSources& sources) {
  const at::NoGradGuard no_grad;
  buffers_.resize(sources.size());
  std::optional<at::Device> in_flight;
  for (size_t i = 0; i < sources.size(); ++i) {
    const Tensor tensor = sources[i].fetch();
    if (!fits(buffers_[i], sources[i]))
      buffers_[i] = {sources[i].name, buffer_for(sources[i], tensor.device())};
    buffers_[i].second.copy_(tensor, /*non_blocking=*/true);
    if (!tensor.is_cpu()) in_flight = tensor.device();
  }
  if (in_flight) c10::impl::VirtualGuardImpl(in_flight->type()).synchronizeDevice(in_flight->index());
  return buffers_;
}

}  // namespace ddro::checkpoint
