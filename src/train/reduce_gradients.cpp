#include "train/reduce_gradients.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include "train/exchange_parts.h"

namespace ddro::train {
namespace {

// Numbers that travel at once: enough to fill a wire, few beside the gradients themselves.
constexpr std::int64_t kMostNumbers = std::int64_t{1} << 24;

void all_reduce(const std::vector<Tensor>& gradients, const dist::Communicator& ranks) {
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

// In the order of the parameters, which are all of one type.
void all_reduce_in_batches(const std::vector<Tensor>& gradients, const dist::Communicator& ranks) {
  std::vector<Tensor> some;
  std::int64_t numbers = 0;
  for (const Tensor& gradient : gradients) {
    if (!some.empty() && numbers + gradient.numel() > kMostNumbers) {
      all_reduce(some, ranks);
      some.clear();
      numbers = 0;
    }
    some.push_back(gradient);
    numbers += gradient.numel();
  }
  if (!some.empty()) all_reduce(some, ranks);
}

}  // namespace

void reduce_gradients(const Parameters& parameters) {
  if (parameters.ranks().size() == 1) return;
  const at::NoGradGuard no_grad;
  std::vector<Tensor> gradients;
  for (const Parameter& entry : parameters.entries()) {
    if (entry.trainable && !entry.in_parts) gradients.push_back(entry.gradient);
  }
  if (gradients.empty()) return;
  if (parameters.is_sharded()) {
    reduce_scatter_parts(gradients, parameters.ranks());
  } else {
    all_reduce_in_batches(gradients, parameters.ranks());
  }
}

}  // namespace ddro::train
