#include "ddro/checkpoint/host_copy.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <unistd.h>

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

// The system gives a page when it is first written.
void touch(const Tensor& tensor) {
  const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  auto* bytes = static_cast<volatile char*>(tensor.data_ptr());
  for (size_t at = 0; at < tensor.nbytes(); at += page) bytes[at] = 0;
}

}  // namespace

void HostCopy::fit(size_t place, const TensorSource& source, at::Device device) {
  if (!fits(buffers_[place], source)) buffers_[place] = {source.name, buffer_for(source, device)};
}

void HostCopy::make_room(const TensorSources& sources, at::Device device) {
  buffers_.resize(sources.size());
  for (size_t i = 0; i < sources.size(); ++i) {
    fit(i, sources[i], device);
    touch(buffers_[i].second);
  }
}

const NamedTensors& HostCopy::take(const TensorSources& sources) {
  const at::NoGradGuard no_grad;
  buffers_.resize(sources.size());
  std::optional<at::Device> in_flight;
  for (size_t i = 0; i < sources.size(); ++i) {
    const Tensor tensor = sources[i].fetch();
    fit(i, sources[i], tensor.device());
    buffers_[i].second.copy_(tensor, /*non_blocking=*/true);
    if (!tensor.is_cpu()) in_flight = tensor.device();
  }
  if (in_flight) c10::impl::VirtualGuardImpl(in_flight->type()).synchronizeDevice(in_flight->index());
  return buffers_;
}

}  // namespace ddro::checkpoint
