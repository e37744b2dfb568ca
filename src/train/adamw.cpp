#include "ddro/train/adamw.h"

#include <torch/torch.h>

#include <cmath>

#include "ddro/base/error.h"

namespace ddro::train {
namespace {

// As Hugging Face's Trainer: vectors (norms, biases) do not decay.
bool is_matrix(const Tensor& tensor) { return tensor.dim() >= 2; }

std::unordered_map<std::string, Tensor> by_name(const NamedTensors& tensors) {
  return {tensors.begin(), tensors.end()};
}

void restore(const Tensor& target, const std::string& name,
             const std::unordered_map<std::string, Tensor>& source, const std::string& where) {
  const auto found = source.find(name);
  if (found == source.end()) throw model_error("[" + where + "] tensor \"" + name + "\" is missing");
  if (found->second.sizes() != target.sizes() || found->second.scalar_type() != target.scalar_type()) {
    throw model_error("[" + where + "] tensor \"" + name + "\" has another shape or type than the model");
  }
  target.copy_(found->second);
}

}  // namespace

AdamW::AdamW(const models::CausalLm& model, const NamedTensors& initial, const OptimizerOptions& options)
    : options_(options) {
  torch::NoGradGuard no_grad;
  const auto source = by_name(initial);
  for (const auto& [name, parameter] : model.parameters()) {
    Slot slot;
    slot.name = name;
    slot.parameter = parameter;
    const auto type = parameter.scalar_type();
    if (type == at::kFloat || type == at::kDouble) {
      slot.master = parameter;
    } else {
      slot.master = source.at(name)
                        .to(parameter.device(), at::kFloat, /*non_blocking=*/false, /*copy=*/true)
                        .contiguous();
    }
    slot.gradient = at::zeros_like(slot.master, at::MemoryFormat::Contiguous);
    slot.exp_avg = at::zeros_like(slot.master, at::MemoryFormat::Contiguous);
    slot.exp_avg_sq = at::zeros_like(slot.master, at::MemoryFormat::Contiguous);
    slot.decays = is_matrix(parameter);
    slot.parameter.mutable_grad() = slot.gradient;  // where backward passes add to, in the masters' type
    index_[name] = slots_.size();
    slots_.push_back(std::move(slot));
  }
}

void AdamW::zero_gradients() {
  torch::NoGradGuard no_grad;
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
  torch::NoGradGuard no_grad;
  const Tensor norms = at::stack(at::_foreach_norm(gradients(), 2));
  return at::linalg_vector_norm(norms.to(at::kDouble), 2).item<double>();
}

void AdamW::step(double learning_rate, double gradient_scale) {
  torch::NoGradGuard no_grad;
  if (gradient_scale != 1.0) at::_foreach_mul_(gradients(), gradient_scale);
  ++steps_done_;
  update_group(/*decays=*/true, learning_rate);
  update_group(/*decays=*/false, learning_rate);
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
  std::vector<Tensor> weights, gradients, exp_avgs, exp_avg_sqs, steps;
  for (const Slot& slot : slots_) {
    if (slot.decays != decays) continue;
    weights.push_back(slot.master.detach());
    gradients.push_back(slot.gradient);
    exp_avgs.push_back(slot.exp_avg);
    exp_avg_sqs.push_back(slot.exp_avg_sq);
    steps.push_back(at::full({}, static_cast<double>(steps_done_),
                             slot.master.options().dtype(at::kFloat).requires_grad(false)));
  }
  if (weights.empty()) return;
  at::_fused_adamw_(weights, gradients, exp_avgs, exp_avg_sqs, /*max_exp_avg_sqs=*/{}, steps, learning_rate,
                    options_.adam_beta1, options_.adam_beta2, decays ? options_.weight_decay : 0.0,
                    options_.adam_epsilon, /*amsgrad=*/false, /*maximize=*/false);
}

NamedTensors AdamW::master_weights() const {
  NamedTensors tensors;
  for (const Slot& slot : slots_) tensors.emplace_back(slot.name, slot.master.detach());
  return tensors;
}

NamedTensors AdamW::state() const {
  NamedTensors tensors;
  for (const Slot& slot : slots_) {
    tensors.emplace_back("exp_avg." + slot.name, slot.exp_avg);
    tensors.emplace_back("exp_avg_sq." + slot.name, slot.exp_avg_sq);
  }
  tensors.emplace_back("step", at::full({}, steps_done_, at::TensorOptions().dtype(at::kLong)));
  return tensors;
}

void AdamW::load(const NamedTensors& weights, const NamedTensors& state, const std::string& where) {
  torch::NoGradGuard no_grad;
  if (weights.size() != slots_.size() || state.size() != 2 * slots_.size() + 1) {
    throw model_error("[" + where + "] holds another number of tensors than the model has");
  }
  const auto weight_of = by_name(weights);
  const auto state_of = by_name(state);
  for (Slot& slot : slots_) {
    restore(slot.master.detach(), slot.name, weight_of, where);
    restore(slot.exp_avg, "exp_avg." + slot.name, state_of, where);
    restore(slot.exp_avg_sq, "exp_avg_sq." + slot.name, state_of, where);
  }
  update_parameters();
  const Tensor step = at::zeros({}, at::TensorOptions().dtype(at::kLong));
  restore(step, "step", state_of, where);
  steps_done_ = step.item<std::int64_t>();
}

std::string AdamW::first_non_finite() const {
  torch::NoGradGuard no_grad;
  const auto finite = [](const Tensor& tensor) {
    // A sum over finite values of a well-behaved model is finite; only a suspicious one is looked at closely.
    return std::isfinite(at::sum(tensor, at::kDouble).item<double>()) ||
           at::isfinite(tensor).all().item<bool>();
  };
  for (const Slot& slot : slots_) {
    if (!finite(slot.master.detach())) return slot.name;
    if (!finite(slot.exp_avg)) return "exp_avg." + slot.name;
    if (!finite(slot.exp_avg_sq)) return "exp_avg_sq." + slot.name;
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
