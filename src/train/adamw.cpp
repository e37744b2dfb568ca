#include "ddro/train/adamw.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>

#include "ddro/base/error.h"
#include "ddro/base/random.h"

namespace ddro::train {
namespace {

// As Hugging Face's Trainer: vectors (norms, biases) do not decay.
bool is_matrix(const Tensor& tensor) { return tensor.dim() >= 2; }

using TensorsByName = std::unordered_map<std::string, Tensor>;

TensorsByName by_name(const NamedTensors& tensors) { return {tensors.begin(), tensors.end()}; }

void restore(const Tensor& target, const std::string& name, const TensorsByName& source,
             const std::string& where) {
  const auto found = source.find(name);
  if (found == source.end()) throw model_error("[" + where + "] tensor \"" + name + "\" is missing");
  if (found->second.sizes() != target.sizes() || found->second.scalar_type() != target.scalar_type()) {
    throw model_error("[" + where + "] tensor \"" + name + "\" has another shape or type than the model");
  }
  target.copy_(found->second);
}

// The form that a checkpoint's moment is in; `expected` when it is none or missing.
MomentDType stored_form(const TensorsByName& state, const std::string& name, MomentDType expected) {
  const auto found = state.find(name);
  if (found == state.end()) return expected;
  switch (found->second.scalar_type()) {
    case at::kFloat:
      return MomentDType::kFloat32;
    case at::kBFloat16:
      return MomentDType::kBFloat16;
    case at::kByte:
      return MomentDType::kFloat8;
    default:
      return expected;
  }
}

// The number of tensors it was read from. `key`: of the rounding where the form changes.
size_t restore(Moment& moment, const std::string& prefix, const std::string& name, const TensorsByName& state,
               const std::string& where, std::uint64_t key) {
  const MomentDType form = stored_form(state, prefix + "." + name, moment.dtype());
  const bool same_form = form == moment.dtype();
  const Moment stored = same_form ? moment : moment.like(form);
  const NamedTensors parts = stored.tensors(prefix, name);
  for (const auto& [part, tensor] : parts) restore(tensor, part, state, where);
  if (!same_form) moment.convert(stored, key);
  return parts.size();
}

// Of the roundings of one moment after one update. Parameters have a fixed order.
std::uint64_t rounding_key(std::int64_t update, size_t slot, Moment::Kind kind) {
  return random_bits(static_cast<std::uint64_t>(update), slot, static_cast<std::uint64_t>(kind));
}

}  // namespace

AdamW::AdamW(const models::CausalLm& model, const NamedTensors& initial, const OptimizerOptions& options)
    : options_(options) {
  at::NoGradGuard no_grad;
  const auto source = by_name(initial);
  for (const auto& [name, parameter] : model.parameters()) {
    const auto type = parameter.scalar_type();
    Tensor master = parameter;
    if (type != at::kFloat && type != at::kDouble) {
      master = source.at(name)
                   .to(parameter.device(), at::kFloat, /*non_blocking=*/false, /*copy=*/true)
                   .contiguous();
    }
    const auto moment = [&](Moment::Kind kind) {
      return Moment(kind, options.moment_dtype, master.sizes(), master.options());
    };
    Slot slot{.name = name,
              .parameter = parameter,
              .master = master,
              .gradient = at::zeros_like(master, at::MemoryFormat::Contiguous),
              .exp_avg = moment(Moment::Kind::kFirst),
              .exp_avg_sq = moment(Moment::Kind::kSecond),
              .decays = is_matrix(parameter)};
    slot.parameter.mutable_grad() = slot.gradient;  // where backward passes add to, in the masters' type
    index_[name] = slots_.size();
    slots_.push_back(std::move(slot));
  }
}

void AdamW::zero_gradients() {
  at::NoGradGuard no_grad;
  at::_foreach_zero_(gradients());
}

Tensor AdamW::gradient(const std::string& name) const { return slot(name).gradient; }

// All tensors at once: on a GPU a few kernels instead of one for each of some hundred tensors.
std::vector<Tensor> AdamW::gradients() const {
  std::vector<Tensor> result;
  for (const Slot& slot : slots_) result.push_back(slot.gradient);
  return result;
}

double AdamW::gradient_norm() const {
  at::NoGradGuard no_grad;
  const Tensor norms = at::stack(at::_foreach_norm(gradients(), 2));
  return at::linalg_vector_norm(norms.to(at::kDouble), 2).item<double>();
}

void AdamW::step(double learning_rate, double gradient_scale) {
  at::NoGradGuard no_grad;
  if (gradient_scale != 1.0) at::_foreach_mul_(gradients(), gradient_scale);
  ++steps_done_;
  if (options_.moment_dtype == MomentDType::kFloat32) {
    update_group(/*decays=*/true, learning_rate);
    update_group(/*decays=*/false, learning_rate);
  } else {
    update_in_chunks(learning_rate);
  }
  update_parameters();
}

// Rounds the masters into what the model computes with.
void AdamW::update_parameters() {
  std::vector<Tensor> parameters, masters;
  for (const Slot& slot : slots_) {
    if (!slot.mixed()) continue;
    parameters.push_back(slot.parameter.detach());
    masters.push_back(slot.master);
  }
  if (!parameters.empty()) at::_foreach_copy_(parameters, masters);
}

void AdamW::update_group(bool decays, double learning_rate) {
  std::vector<Tensor> weights, gradients, exp_avgs, exp_avg_sqs;
  for (const Slot& slot : slots_) {
    if (slot.decays != decays) continue;
    weights.push_back(slot.master.detach());
    gradients.push_back(slot.gradient);
    exp_avgs.push_back(slot.exp_avg.stored());
    exp_avg_sqs.push_back(slot.exp_avg_sq.stored());
  }
  if (!weights.empty()) update(weights, gradients, exp_avgs, exp_avg_sqs, decays, learning_rate);
}

// Moments in a short form are read, updated and written a chunk at a time.
void AdamW::update_in_chunks(double learning_rate) {
  const at::Device device = slots_.front().master.device();
  const std::int64_t chunk = moment_chunk(device);
  const Tensor exp_avg_N = at::empty({chunk}, at::TensorOptions(device).dtype(at::kFloat));
  const Tensor exp_avg_sq_N = at::empty_like(exp_avg_N);
  for (size_t i = 0; i < slots_.size(); ++i) {
    Slot& slot = slots_[i];
    for (std::int64_t begin = 0; begin < slot.master.numel(); begin += chunk) {
      const std::int64_t size = std::min(chunk, slot.master.numel() - begin);
      const Tensor exp_avg = exp_avg_N.narrow(0, 0, size);
      const Tensor exp_avg_sq = exp_avg_sq_N.narrow(0, 0, size);
      slot.exp_avg.read(begin, exp_avg);
      slot.exp_avg_sq.read(begin, exp_avg_sq);
      update({slot.master.detach().view(-1).narrow(0, begin, size)},
             {slot.gradient.view(-1).narrow(0, begin, size)}, {exp_avg}, {exp_avg_sq}, slot.decays,
             learning_rate);
      slot.exp_avg.write(begin, exp_avg, rounding_key(steps_done_, i, Moment::Kind::kFirst));
      slot.exp_avg_sq.write(begin, exp_avg_sq, rounding_key(steps_done_, i, Moment::Kind::kSecond));
    }
  }
}

void AdamW::update(const std::vector<Tensor>& weights, const std::vector<Tensor>& gradients,
                   const std::vector<Tensor>& exp_avgs, const std::vector<Tensor>& exp_avg_sqs, bool decays,
                   double learning_rate) const {
  const Tensor step = at::full({}, static_cast<double>(steps_done_),
                               at::TensorOptions(weights.front().device()).dtype(at::kFloat));
  at::_fused_adamw_(weights, gradients, exp_avgs, exp_avg_sqs, /*max_exp_avg_sqs=*/{},
                    std::vector<Tensor>(weights.size(), step), learning_rate, options_.adam_beta1,
                    options_.adam_beta2, decays ? options_.weight_decay : 0.0, options_.adam_epsilon,
                    /*amsgrad=*/false, /*maximize=*/false);
}

NamedTensors AdamW::master_weights() const {
  NamedTensors tensors;
  for (const Slot& slot : slots_) tensors.emplace_back(slot.name, slot.master.detach());
  return tensors;
}

NamedTensors AdamW::state() const {
  NamedTensors tensors;
  for (const Slot& slot : slots_) {
    for (auto& part : slot.exp_avg.tensors("exp_avg", slot.name)) tensors.push_back(std::move(part));
    for (auto& part : slot.exp_avg_sq.tensors("exp_avg_sq", slot.name)) tensors.push_back(std::move(part));
  }
  tensors.emplace_back("step", at::full({}, steps_done_, at::TensorOptions().dtype(at::kLong)));
  return tensors;
}

void AdamW::load(const NamedTensors& weights, const NamedTensors& state, const std::string& where) {
  at::NoGradGuard no_grad;
  const TensorsByName weight_of = by_name(weights);
  const TensorsByName state_of = by_name(state);
  const Tensor step = at::zeros({}, at::TensorOptions().dtype(at::kLong));
  restore(step, "step", state_of, where);
  steps_done_ = step.item<std::int64_t>();
  size_t num_read = 1;
  for (size_t i = 0; i < slots_.size(); ++i) {
    Slot& slot = slots_[i];
    restore(slot.master.detach(), slot.name, weight_of, where);
    num_read += restore(slot.exp_avg, "exp_avg", slot.name, state_of, where,
                        rounding_key(steps_done_, i, Moment::Kind::kFirst));
    num_read += restore(slot.exp_avg_sq, "exp_avg_sq", slot.name, state_of, where,
                        rounding_key(steps_done_, i, Moment::Kind::kSecond));
  }
  if (weights.size() != slots_.size() || state.size() != num_read) {
    throw model_error("[" + where + "] holds more tensors than the model has");
  }
  update_parameters();
}

std::string AdamW::first_non_finite() const {
  at::NoGradGuard no_grad;
  for (const Slot& slot : slots_) {
    if (!all_finite(slot.master.detach())) return slot.name;
    if (!slot.exp_avg.is_finite()) return "exp_avg." + slot.name;
    if (!slot.exp_avg_sq.is_finite()) return "exp_avg_sq." + slot.name;
  }
  return "";
}

std::int64_t AdamW::num_parameters() const {
  std::int64_t count = 0;
  for (const Slot& slot : slots_) count += slot.master.numel();
  return count;
}

const AdamW::Slot& AdamW::slot(const std::string& name) const { return slots_[index_.at(name)]; }

}  // namespace ddro::train
