#include "ddro/train/parameters.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include "train/stored_tensors.h"

namespace ddro::train {
namespace {

Tensor make_master(const std::string& name, const Tensor& compute, const TensorsByName& initial) {
  if (compute.scalar_type() == at::kFloat || compute.scalar_type() == at::kDouble) return compute;
  return initial.at(name)
      .to(compute.device(), at::kFloat, /*non_blocking=*/false, /*copy=*/true)
      .contiguous();
}

Parameter make_parameter(const std::string& name, const Tensor& compute, const TensorsByName& initial) {
  Parameter entry{.name = name,
                  .compute = compute,
                  .master = {},
                  .gradient = {},
                  .trainable = compute.requires_grad(),
                  .decays = compute.dim() >= 2 && !name.ends_with("_bias")};
  if (!entry.trainable) return entry;
  entry.master = make_master(name, compute, initial);
  entry.gradient = at::zeros_like(entry.master, at::MemoryFormat::Contiguous);
  entry.compute.mutable_grad() = entry.gradient;
  return entry;
}

}  // namespace

Parameters::Parameters(const models::CausalLm& model, const NamedTensors& initial) {
  const at::NoGradGuard no_grad;
  const TensorsByName source = by_name(initial);
  for (const auto& [name, compute] : model.parameters()) {
    index_[name] = entries_.size();
    entries_.push_back(make_parameter(name, compute, source));
  }
}

std::int64_t Parameters::size() const {
  std::int64_t count = 0;
  for (const Parameter& entry : entries_) count += entry.trainable ? entry.master.numel() : 0;
  return count;
}

// All tensors at once: on a GPU a few kernels instead of one for each of some hundred tensors.
std::vector<Tensor> Parameters::gradients() const {
  std::vector<Tensor> result;
  for (const Parameter& entry : entries_) {
    if (entry.trainable) result.push_back(entry.gradient);
  }
  return result;
}

void Parameters::zero_gradients() {
  const at::NoGradGuard no_grad;
  at::_foreach_zero_(gradients());
}

void Parameters::scale_gradients(double factor) {
  const at::NoGradGuard no_grad;
  at::_foreach_mul_(gradients(), factor);
}

double Parameters::gradient_norm() const {
  const at::NoGradGuard no_grad;
  const Tensor norms = at::stack(at::_foreach_norm(gradients(), 2));
  return at::linalg_vector_norm(norms.to(at::kDouble), 2).item<double>();
}

const Tensor& Parameters::gradient(const std::string& name) const {
  return entries_[index_.at(name)].gradient;
}

void Parameters::masters_changed() {
  const at::NoGradGuard no_grad;
  std::vector<Tensor> compute, masters;
  for (const Parameter& entry : entries_) {
    if (!entry.is_mixed()) continue;
    compute.push_back(entry.compute.detach());
    masters.push_back(entry.master);
  }
  if (!compute.empty()) at::_foreach_copy_(compute, masters);
}

NamedTensors Parameters::masters() const {
  NamedTensors tensors;
  for (const Parameter& entry : entries_) {
    if (entry.trainable) tensors.emplace_back(entry.name, entry.master.detach());
  }
  return tensors;
}

void Parameters::load_masters(const NamedTensors& masters, const std::string& where) {
  const at::NoGradGuard no_grad;
  const TensorsByName source = by_name(masters);
  const NamedTensors own = this->masters();
  for (const auto& [name, master] : own) restore(master, name, source, where);
  check_all_read(masters, own.size(), where);
  masters_changed();
}

}  // namespace ddro::train
