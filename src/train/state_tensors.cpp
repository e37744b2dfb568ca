#include "ddro/train/state_tensors.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <c10/util/accumulate.h>

#include <algorithm>

#include "ddro/base/error.h"

namespace ddro::train {
namespace {

bool is_in_parts(const StateTensor& tensor) { return tensor.capacity > 0; }

// On the first rank the whole tensor.
Tensor gather(const StateTensor& tensor, const dist::Communicator& ranks) {
  const Tensor part_N = at::empty({tensor.capacity}, tensor.own.options());
  part_N.narrow(0, 0, tensor.own.numel()).copy_(tensor.own.view(-1));
  const Tensor parts_WN = ranks.gather(part_N);
  if (!ranks.is_first()) return {};
  return parts_WN.view(-1).narrow(0, 0, c10::multiply_integers(tensor.sizes)).view(tensor.sizes);
}

// What the first rank says in place of a tensor's place in the list.
constexpr double kDone = -1;

void send_parts(const StateTensors& tensors, const dist::Communicator& ranks) {
  const at::NoGradGuard no_grad;
  for (double asked = ranks.broadcast(kDone); asked != kDone; asked = ranks.broadcast(kDone))
    gather(tensors[static_cast<size_t>(asked)], ranks);
}

Tensor fetch(const StateTensors& tensors, size_t i, const dist::Communicator& ranks) {
  if (!is_in_parts(tensors[i])) return tensors[i].own;
  const at::NoGradGuard no_grad;
  ranks.broadcast(static_cast<double>(i));
  return gather(tensors[i], ranks);
}

}  // namespace

void lend_whole(const StateTensors& tensors, const dist::Communicator& ranks,
                const std::function<void(const TensorSources&)>& use) {
  const bool others_have_parts = std::any_of(tensors.begin(), tensors.end(), is_in_parts);
  if (!ranks.is_first()) {
    if (others_have_parts) send_parts(tensors, ranks);
    return;
  }
  TensorSources sources;
  for (size_t i = 0; i < tensors.size(); ++i) {
    const StateTensor& tensor = tensors[i];
    sources.push_back({tensor.name, tensor.own.scalar_type(), tensor.sizes,
                       [&tensors, i, &ranks] { return fetch(tensors, i, ranks); }});
  }
  const auto finish = [&] {
    if (others_have_parts) ranks.broadcast(kDone);
  };
  try {
    use(sources);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kLost) finish();
    throw;
  }
  finish();
}

}  // namespace ddro::train
