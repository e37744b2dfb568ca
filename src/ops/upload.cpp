#include "ddro/ops/upload.h"

#include <ATen/ATen.h>

#include <algorithm>

namespace ddro::ops {

std::vector<Tensor> upload(const std::vector<Integers>& lists, at::Device device) {
  size_t total = 0;
  for (const Integers& list : lists) total += list.size();
  const Tensor host = at::empty({static_cast<std::int64_t>(total)},
                                at::TensorOptions(at::kLong).pinned_memory(device.is_cuda()));
  auto* place = host.mutable_data_ptr<std::int64_t>();
  for (const Integers& list : lists) place = std::copy(list.begin(), list.end(), place);
  const Tensor there = host.to(device, /*non_blocking=*/true);
  std::vector<Tensor> tensors;
  std::int64_t begin = 0;
  for (const Integers& list : lists) {
    const auto size = static_cast<std::int64_t>(list.size());
    tensors.push_back(there.narrow(0, begin, size));
    begin += size;
  }
  return tensors;
}

}  // namespace ddro::ops
