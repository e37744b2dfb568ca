#include "train/reduce_gradients.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

namespace ddro::train {
namespace {

// Numbers that travel at once: enough to fill a wire, few beside the gradients themselves.
constexpr std::int64_t kMostNumbers = std::int64_t{1} << 24;

void reduce(const std::vector<Tensor>& gradients, const dist::Communicator& ranks) {
  std::vector<Tensor> flat;
  std::vector<std::int64_t> sizes;
  for (const Tensor& gradient : gradients) {
    flat.push_back(gradient.view(-1));
    sizes.push_back(gradient.numel());
  }
  const Tensor buffer = at::cat(flat);
  ranks.all_reduce(buffer);
  at::_foreach_copy_(flat, buffer.split_with_sizes(sizes));
}

}  // namespace

// In the order of the parameters, which are all of one type.
void reduce_gradients(const Parameters& parameters, const dist::Communicator& ranks) {
  if (ranks.size() == 1) return;
  const at::NoGradGuard no_grad;
  std::vector<Tensor> some;
  std::int64_t numbers = 0;
  for (const Parameter& entry : parameters.entries()) {
    if (!entry.trainable) continue;
    if (!some.empty() && numbers + entry.gradient.numel() > kMostNumbers) {
      reduce(some, ranks);
      some.clear();
      numbers = 0;
    }
    some.push_back(entry.gradient);
    numbers += entry.gradient.numel();
  }
  if (!some.empty()) reduce(some, ranks);
}

}  // namespace ddro::train
