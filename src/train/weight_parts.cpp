#include "ddro/train/weight_parts.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include "ddro/base/error.h"
#include "train/exchange_parts.h"

namespace ddro::train {
namespace {

// Blocks of a CPU's heap that wait for the next tensor of their size. Given back to the heap they would soon
// be cut up by what is allocated meanwhile, and large ones found nowhere again: it would grow by them. A
// GPU's allocator keeps blocks by itself.
std::unordered_map<size_t, std::vector<at::DataPtr>>& kept_blocks() {
  static std::unordered_map<size_t, std::vector<at::DataPtr>> blocks;
  return blocks;
}

// The tensor stays the same, and so does what a graph has saved of it.
void give_memory(const Tensor& tensor) {
  c10::StorageImpl* storage = tensor.storage().unsafeGetStorageImpl();
  const size_t bytes = tensor.nbytes();
  std::vector<at::DataPtr>& kept = kept_blocks()[bytes];
  if (kept.empty()) {
    storage->set_data_ptr_noswap(storage->allocator()->allocate(bytes));
  } else {
    storage->set_data_ptr_noswap(std::move(kept.back()));
    kept.pop_back();
  }
  storage->set_nbytes(bytes);
}

at::DataPtr take_block(const Tensor& tensor) {
  c10::StorageImpl* storage = tensor.storage().unsafeGetStorageImpl();
  storage->set_nbytes(0);
  return storage->set_data_ptr(at::DataPtr(nullptr, tensor.device()));
}

void take_memory(const Tensor& tensor) {
  at::DataPtr block = take_block(tensor);
  if (tensor.is_cpu()) kept_blocks()[tensor.nbytes()].push_back(std::move(block));
}

}  // namespace

WeightParts* WeightParts::of(const models::CausalLm& model) {
  return dynamic_cast<WeightParts*>(model.weight_store());
}

void WeightParts::take(size_t unit, const std::string& name, const Tensor& parameter) {
  const at::NoGradGuard no_grad;
  if (units_.size() <= unit) units_.resize(unit + 1);
  std::vector<Held>& tensors = units_[unit].tensors;
  index_[name] = {unit, tensors.size()};
  const Tensor whole = parameter.variable_data();
  tensors.push_back({whole, own_numbers(whole, ranks_).clone(), Tensor(), Tensor()});
  take_block(whole);  // one of each parameter would be the whole model
}

const WeightParts::Held& WeightParts::find(const std::string& name) const {
  const auto [unit, place] = index_.at(name);
  return units_[unit].tensors[place];
}

void WeightParts::keep_gradient(const std::string& name, const Tensor& whole, const Tensor& own) {
  const auto [unit, place] = index_.at(name);
  Held& held = units_[unit].tensors[place];
  held.gradient = whole.variable_data();
  held.own_gradient = own;
  take_block(whole);
}

void WeightParts::begin_forward() {
  if (is_announcing_) ranks_.broadcast(true);
}

void WeightParts::gather(size_t index) {
  const at::NoGradGuard no_grad;
  Unit& unit = units_[index];
  if (unit.is_whole) return;
  unit.is_whole = true;
  std::vector<Tensor> whole;
  for (const Held& held : unit.tensors) {
    give_memory(held.whole);
    own_numbers(held.whole, ranks_).copy_(held.part);
    whole.push_back(held.whole);
  }
  all_gather_parts(whole, ranks_);
}

void WeightParts::release(size_t index) {
  Unit& unit = units_[index];
  if (!unit.is_whole) return;
  unit.is_whole = false;
  for (const Held& held : unit.tensors) take_memory(held.whole);
}

void WeightParts::begin_gradients(size_t index) {
  const at::NoGradGuard no_grad;
  for (const Held& held : units_[index].tensors) {
    give_memory(held.gradient);
    held.gradient.zero_();
  }
}

void WeightParts::end_gradients(size_t index) {
  const at::NoGradGuard no_grad;
  std::vector<Tensor> whole;
  for (const Held& held : units_[index].tensors) whole.push_back(held.gradient);
  reduce_scatter_parts(whole, ranks_);
  for (const Held& held : units_[index].tensors) {
    held.own_gradient.add_(own_numbers(held.gradient, ranks_));
    take_memory(held.gradient);
  }
}

void on_first_rank(const models::CausalLm& model, const dist::Communicator& ranks,
                   const std::function<void()>& work) {
  WeightParts* parts = WeightParts::of(model);
  if (!ranks.is_first()) {
    while (parts != nullptr && ranks.broadcast(false)) model.take_part(/*with_backward=*/false);
    return;
  }
  if (parts == nullptr) return work();
  parts->announce(true);
  work();
  parts->announce(false);
  ranks.broadcast(false);
}

}  // namespace ddro::train
