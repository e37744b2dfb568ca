#include "ddro/train/weight_parts.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <limits>
#include <utility>

#include "ddro/base/error.h"
#include "train/block_pool.h"
#include "train/exchange_parts.h"

namespace ddro::train {
namespace {

// Of a unit everything travels at once: its memory is there as a whole.
constexpr size_t kAnyNumber = std::numeric_limits<size_t>::max();

}  // namespace

WeightParts::WeightParts(const dist::Communicator& ranks)
    : ranks_(ranks), memory_(std::make_unique<BlockPool>()), sums_(std::make_unique<Exchanges>(kAnyNumber)) {}

WeightParts::~WeightParts() = default;

void WeightParts::take(size_t unit, const std::string& name, const Tensor& parameter) {
  const at::NoGradGuard no_grad;
  if (units_.size() <= unit) units_.resize(unit + 1);
  std::vector<Held>& tensors = units_[unit].tensors;
  index_[name] = {unit, tensors.size()};
  const Tensor whole = parameter.variable_data();
  tensors.push_back({whole, own_numbers(whole, ranks_).clone(), Tensor(), Tensor()});
  BlockPool::free(whole);  // one of each parameter would be the whole model
}

Tensor WeightParts::part(const std::string& name) const {
  const auto found = index_.find(name);
  if (found == index_.end()) return {};
  const auto [unit, place] = found->second;
  return units_[unit].tensors[place].part;
}

void WeightParts::keep_gradient(const std::string& name, const Tensor& whole, const Tensor& own) {
  const auto [unit, place] = index_.at(name);
  Held& held = units_[unit].tensors[place];
  held.gradient = whole.variable_data();
  held.own_gradient = own;
  BlockPool::free(whole);
}

void WeightParts::begin_forward() {
  if (is_announcing_) ranks_.any(true);
  course_ = Course::kForward;
}

void WeightParts::gather(size_t index) {
  const at::NoGradGuard no_grad;
  Unit& unit = units_[index];
  if (unit.is_whole) return;
  begin_gather(unit);
  std::exchange(unit.coming, nullptr)();
  unit.is_whole = true;
  begin_next(index);
}

// Of a backward no more than the layers: the head is whole, and the embedding of no use.
void WeightParts::begin_next(size_t index) {
  if (course_ == Course::kForward && index + 1 < units_.size()) begin_gather(units_[index + 1]);
  if (course_ == Course::kBackward && index > 1) begin_gather(units_[index - 1]);
}

void WeightParts::begin_gather(Unit& unit) {
  if (unit.is_whole || unit.coming) return;
  std::vector<Tensor> whole, parts;
  for (const Held& held : unit.tensors) {
    memory_->give(held.whole);
    whole.push_back(held.whole);
    parts.push_back(held.part);
  }
  unit.coming = begin_all_gather_parts(whole, parts, ranks_);
}

void WeightParts::release(size_t index) {
  Unit& unit = units_[index];
  if (!unit.is_whole) return;
  unit.is_whole = false;
  for (const Held& held : unit.tensors) memory_->take(held.whole);
}

void WeightParts::begin_gradients(size_t index) {
  const at::NoGradGuard no_grad;
  if (course_ == Course::kForward) {  // of the head, or the unit that it shares with the embedding
    course_ = Course::kBackward;
    begin_next(index == 0 ? units_.size() : index);
  }
  for (const Held& held : units_[index].tensors) {
    if (held.is_frozen()) continue;
    memory_->give(held.gradient);
    held.gradient.zero_();
  }
}

void WeightParts::end_gradients(size_t index) {
  const at::NoGradGuard no_grad;
  finish_sums();
  for (const Held& held : units_[index].tensors) {
    if (!held.is_frozen()) summed_.push_back(&held);
  }
  std::vector<Tensor> whole;
  for (const Held* held : summed_) whole.push_back(held->gradient);
  if (!whole.empty()) begin_reduce_scatter_parts(whole, ranks_, *sums_);
  if (index == 0) finish_sums();  // the last unit of a backward
}

void WeightParts::finish_sums() {
  sums_->finish();
  for (const Held* held : summed_) {
    held->own_gradient.add_(own_numbers(held->gradient, ranks_));
    memory_->take(held->gradient);
  }
  summed_.clear();
}

void side_by_side(const models::CausalLm& model, const dist::Communicator& ranks,
                  const std::function<void()>& work) {
  models::WeightStore* parts = model.weight_store();
  if (parts == nullptr) return work();
  parts->announce(true);
  work();
  parts->announce(false);
  while (ranks.any(false)) model.take_part(/*with_backward=*/false);
}

void on_first_rank(const models::CausalLm& model, const dist::Communicator& ranks,
                   const std::function<void()>& work) {
  side_by_side(model, ranks, [&] {
    if (ranks.is_first()) work();
  });
}

}  // namespace ddro::train
