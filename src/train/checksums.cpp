#include "ddro/train/checksums.h"

#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <unordered_set>

#include "ddro/base/error.h"
#include "ddro/base/interruption.h"
#include "train/sum_of_bits.h"

namespace ddro::train {
namespace {

[[noreturn]] void report_change(const std::string& what, std::int64_t step) {
  throw Error(ErrorKind::kInternal, "[memory] after step " + std::to_string(step) + " the bits of " + what +
                                        " are not what they were, and nothing has written to it; likely the "
                                        "machine is faulty; the last checkpoint is kept, go on from it on "
                                        "another");
}

// The sum over the ranks of each.
std::vector<std::uint64_t> added_up(const std::vector<std::uint64_t>& sums, const dist::Communicator& ranks) {
  const size_t bytes = sums.size() * sizeof(std::uint64_t);
  std::vector<std::uint64_t> total(sums.size()), other(sums.size());
  for (const std::string& of_rank :
       ranks.all_gather(std::string(reinterpret_cast<const char*>(sums.data()), bytes))) {
    std::memcpy(other.data(), of_rank.data(), bytes);
    std::ranges::transform(total, other, total.begin(), std::plus<>());
  }
  return total;
}

}  // namespace

Checksums checksums(const StateTensors& tensors, const dist::Communicator& ranks) {
  const at::NoGradGuard no_grad;
  std::vector<std::uint64_t> own;
  for (const StateTensor& tensor : tensors) own.push_back(sum_of_bits(tensor.own));
  const bool others_have_parts =
      std::ranges::any_of(tensors, [](const StateTensor& tensor) { return tensor.capacity > 0; });
  const std::vector<std::uint64_t> all = others_have_parts ? added_up(own, ranks) : own;
  Checksums sums;
  for (size_t i = 0; i < tensors.size(); ++i)
    sums[tensors[i].name] = tensors[i].capacity > 0 ? all[i] : own[i];
  return sums;
}

void check_unchanged(const Checksums& sums, const std::string& name, const Tensor& tensor,
                     std::int64_t step) {
  const auto sum = sums.find(name);
  if (sum != sums.end() && sum->second != sum_of_bits(tensor)) report_change(name, step);
}

FrozenWeights::FrozenWeights(const Parameters& policy, const models::CausalLm* reference)
    : ranks_(policy.ranks()) {
  const at::NoGradGuard no_grad;
  std::unordered_set<const void*> seen;  // a reference may compute with the weights of the policy's base
  const auto add = [&](const std::string& name, const Tensor& tensor) {
    leave_if_interrupted();
    if (seen.insert(tensor.const_data_ptr()).second) tensors_.push_back({name, tensor, sum_of_bits(tensor)});
  };
  for (const Parameter& entry : policy.entries()) {
    if (!entry.trainable) add(entry.name, entry.in_parts ? entry.own_compute : entry.compute);
  }
  if (reference == nullptr) return;
  const models::WeightStore* const store = reference->weight_store();
  for (const auto& [name, tensor] : reference->parameters()) {
    const Tensor part = store ? store->part(name) : Tensor();
    add("the reference's " + name, part.defined() ? part : tensor);
  }
}

void FrozenWeights::check(std::int64_t step) const {
  const at::NoGradGuard no_grad;
  const auto changed = std::ranges::find_if(
      tensors_, [](const Frozen& frozen) { return sum_of_bits(frozen.tensor) != frozen.sum; });
  const std::string name = changed == tensors_.end() ? "" : changed->name;
  for (const std::string& of_rank : ranks_.all_gather(name)) {
    if (!of_rank.empty()) report_change(of_rank, step);
  }
}

}  // namespace ddro::train
