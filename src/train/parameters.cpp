#include "ddro/train/parameters.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <ATen/record_function.h>

#include <cmath>

#include "ddro/base/error.h"
#include "ddro/base/interruption.h"
#include "ddro/models/weight_units.h"
#include "train/exchange_parts.h"
#include "train/stored_tensors.h"

namespace ddro::train {
namespace {

at::ScalarType master_type(const Tensor& compute) {
  return compute.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
}

// Gradients in the masters' type, and what the ranks have parts of.
void add_whole(Parameter& entry, at::ScalarType type) {
  entry.gradient = at::zeros(entry.compute.sizes(), entry.compute.options().dtype(type));
  entry.own_compute = entry.compute;
  entry.own_gradient = entry.gradient;
}

void add_views(Parameter& entry, at::ScalarType type, const dist::Communicator& ranks) {
  add_whole(entry, type);
  entry.own_compute = own_numbers(entry.compute, ranks);
  entry.own_gradient = own_numbers(entry.gradient, ranks);
}

void add_parts(Parameter& entry, at::ScalarType type, models::WeightStore& store) {
  entry.gradient = at::empty(entry.compute.sizes(), entry.compute.options().dtype(type));
  entry.own_gradient = at::zeros_like(entry.own_compute, entry.gradient.options());
  store.keep_gradient(entry.name, entry.gradient, entry.own_gradient);
}

double norm_of(const std::vector<Tensor>& tensors) {
  const at::NoGradGuard no_grad;
  if (tensors.empty()) return 0;
  const Tensor norms = at::stack(at::_foreach_norm(tensors, 2));
  return at::linalg_vector_norm(norms.to(at::kDouble), 2).item<double>();
}

}  // namespace

Parameters::Parameters(const models::CausalLm& model, const NamedTensors& initial,
                       const dist::Communicator& ranks, dist::Shard shard)
    : ranks_(ranks), shard_(ranks.size() > 1 ? shard : dist::Shard::kNone) {
  const at::NoGradGuard no_grad;
  const TensorsByName source = by_name(initial);
  const models::ParameterRoles roles(model.spec());
  const auto unit_of = models::unit_of_each(model.spec());
  const bool has_store = shard_ == dist::Shard::kFull;
  DDRO_CHECK(!has_store || model.weight_store() != nullptr,
             "a model that was built with parts of its weights");
  for (const auto& [name, compute] : model.parameters()) {
    leave_if_interrupted();
    index_[name] = entries_.size();
    Parameter& entry = entries_.emplace_back();
    entry.name = name;
    entry.compute = compute;
    entry.trainable = compute.requires_grad();
    entry.role = roles[name];
    const auto unit = unit_of.find(name);
    if (unit != unit_of.end()) entry.unit = unit->second;
    entry.decays = entry.role != models::ParameterRole::kVector;
    if (has_store) entry.own_compute = model.weight_store()->part(name);
    entry.in_parts = entry.own_compute.defined();
    if (entry.trainable) add_trained(entry, model, source);
  }
}

void Parameters::add_trained(Parameter& entry, const models::CausalLm& model, const TensorsByName& initial) {
  const at::ScalarType type = master_type(entry.compute);
  if (entry.in_parts) {
    add_parts(entry, type, *model.weight_store());
  } else if (is_sharded()) {
    add_views(entry, type, ranks_);
  } else {
    add_whole(entry, type);
  }
  entry.compute.mutable_grad() = entry.gradient;
  const std::int64_t numbers = entry.compute.numel();
  entry.part = is_sharded() ? part_of(numbers, ranks_.size(), ranks_.rank()) : Part{0, numbers};
  entry.master = entry.own_compute;
  if (type == entry.compute.scalar_type()) return;
  const Tensor whole = initial.at(entry.name).contiguous();
  entry.master = (is_sharded() ? own_numbers(whole, ranks_) : whole)
                     .to(entry.compute.device(), type, /*non_blocking=*/false, /*copy=*/true)
                     .contiguous();
}

std::int64_t Parameters::size() const {
  std::int64_t count = 0;
  for (const Parameter& entry : entries_) count += entry.trainable ? entry.compute.numel() : 0;
  return count;
}

// All tensors at once: on a GPU a few kernels instead of one for each of some hundred tensors.
std::vector<Tensor> Parameters::own_gradients() const {
  std::vector<Tensor> result;
  for (const Parameter& entry : entries_) {
    if (entry.part.size > 0) result.push_back(entry.own_gradient);
  }
  return result;
}

void Parameters::zero_gradients() {
  RECORD_USER_SCOPE("zero gradients");
  const at::NoGradGuard no_grad;
  std::vector<Tensor> gradients;
  for (const Parameter& entry : entries_) {
    if (entry.trainable) gradients.push_back(entry.kept_gradient());
  }
  at::_foreach_zero_(gradients);
}

void Parameters::scale_gradients(double factor) {
  const at::NoGradGuard no_grad;
  const std::vector<Tensor> gradients = own_gradients();
  if (!gradients.empty()) at::_foreach_mul_(gradients, factor);
}

// Equal gradients may be added up by numbers of threads that differ between the ranks.
double Parameters::gradient_norm() const {
  RECORD_USER_SCOPE("gradient norm");
  const double norm = norm_of(own_gradients());
  if (!is_sharded()) return ranks_.broadcast(norm);
  double squares = 0;
  for (const auto& of_rank : ranks_.all_gather(std::vector{norm})) squares += of_rank[0] * of_rank[0];
  return std::sqrt(squares);
}

const Tensor& Parameters::gradient(const std::string& name) const {
  return entries_[index_.at(name)].gradient;
}

void Parameters::masters_changed() {
  const at::NoGradGuard no_grad;
  std::vector<Tensor> whole, own, masters;
  for (const Parameter& entry : entries_) {
    if (!entry.trainable) continue;
    if (!entry.in_parts) whole.push_back(entry.compute.detach());
    if (!entry.is_mixed()) continue;
    own.push_back(entry.own_compute.detach());
    masters.push_back(entry.master);
  }
  if (!own.empty()) at::_foreach_copy_(own, masters);
  if (is_sharded() && !whole.empty()) all_gather_parts(whole, ranks_);
}

NamedTensors Parameters::masters() const {
  NamedTensors tensors;
  for (const Parameter& entry : entries_) {
    if (entry.trainable) tensors.emplace_back(entry.name, entry.master.detach());
  }
  return tensors;
}

StateTensors Parameters::state() const {
  StateTensors tensors;
  for (const Parameter& entry : entries_) {
    if (entry.trainable) tensors.push_back(state_tensor(entry, entry.name, entry.master.detach()));
  }
  return tensors;
}

StateTensor Parameters::state_tensor(const Parameter& entry, const std::string& name, const Tensor& own,
                                     std::int64_t block) const {
  StateTensor tensor{.name = name, .own = own, .sizes = own.sizes().vec()};
  if (!is_sharded()) return tensor;
  const std::int64_t numbers = entry.compute.numel();
  tensor.sizes = block == 1 ? entry.compute.sizes().vec() : std::vector{(numbers + block - 1) / block};
  tensor.begin = entry.part.begin / block;
  tensor.capacity = part_capacity(numbers, ranks_.size()) / block;
  return tensor;
}

void Parameters::load_masters(const NamedTensors& masters, const std::string& where) {
  const at::NoGradGuard no_grad;
  const TensorsByName source = by_name(masters);
  const StateTensors own = state();
  for (const StateTensor& master : own) restore(master, source, where);
  check_all_read(masters, own.size(), where);
  masters_changed();
}

}  // namespace ddro::train
