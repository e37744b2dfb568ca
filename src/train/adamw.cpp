#include "ddro/train/adamw.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>

#include "ddro/base/random.h"
#include "train/stored_tensors.h"

namespace ddro::train {
namespace {

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

StateTensors state_of(const Parameters& parameters, const Parameter& parameter, const Moment& moment,
                      const std::string& prefix) {
  StateTensors tensors;
  for (const auto& [name, own] : moment.tensors(prefix, parameter.name)) {
    const std::int64_t block = tensors.empty() ? 1 : ops::kMomentBlock;
    tensors.push_back(parameters.state_tensor(parameter, name, own, block));
  }
  return tensors;
}

StateTensor state_of(const Tensor& step) { return {.name = "step", .own = step, .sizes = {}}; }

// Of the roundings of one moment after one update. Parameters have a fixed order.
std::uint64_t rounding_key(std::int64_t update, size_t slot, Moment::Kind kind) {
  return random_bits(static_cast<std::uint64_t>(update), slot, static_cast<std::uint64_t>(kind));
}

}  // namespace

AdamW::AdamW(Parameters& parameters, const OptimizerOptions& options)
    : parameters_(parameters), options_(options) {
  for (const Parameter& parameter : parameters.entries()) {
    if (!parameter.trainable) continue;
    const auto zeros = [&](Moment::Kind kind) {
      return Moment(kind, options.moment_dtype, parameter.master.sizes(), parameter.master.options(),
                    parameter.part.begin);
    };
    slots_.push_back({parameter, zeros(Moment::Kind::kFirst), zeros(Moment::Kind::kSecond)});
  }
}

void AdamW::step(double learning_rate, double gradient_scale) {
  at::NoGradGuard no_grad;
  if (gradient_scale != 1.0) parameters_.scale_gradients(gradient_scale);
  ++steps_done_;
  if (options_.moment_dtype == MomentDType::kFloat32) {
    update_group(/*decays=*/true, learning_rate);
    update_group(/*decays=*/false, learning_rate);
  } else {
    update_in_chunks(learning_rate);
  }
  parameters_.masters_changed();
}

void AdamW::update_group(bool decays, double learning_rate) {
  std::vector<Tensor> weights, gradients, exp_avgs, exp_avg_sqs;
  for (const Slot& slot : slots_) {
    if (slot.parameter.decays != decays || slot.parameter.part.size == 0) continue;
    weights.push_back(slot.parameter.master.detach());
    gradients.push_back(slot.parameter.own_gradient);
    exp_avgs.push_back(slot.exp_avg.stored());
    exp_avg_sqs.push_back(slot.exp_avg_sq.stored());
  }
  if (!weights.empty()) update(weights, gradients, exp_avgs, exp_avg_sqs, decays, learning_rate);
}

// Moments in a short form are read, updated and written a chunk at a time.
void AdamW::update_in_chunks(double learning_rate) {
  const at::Device device = slots_.front().parameter.master.device();
  const std::int64_t chunk = moment_chunk(device);
  const Tensor exp_avg_N = at::empty({chunk}, at::TensorOptions(device).dtype(at::kFloat));
  const Tensor exp_avg_sq_N = at::empty_like(exp_avg_N);
  for (size_t i = 0; i < slots_.size(); ++i) {
    Slot& slot = slots_[i];
    const Tensor weights_N = slot.parameter.master.detach().view(-1);
    const Tensor gradients_N = slot.parameter.own_gradient.view(-1);
    for (std::int64_t begin = 0; begin < weights_N.numel(); begin += chunk) {
      const std::int64_t size = std::min(chunk, weights_N.numel() - begin);
      const Tensor exp_avg = exp_avg_N.narrow(0, 0, size);
      const Tensor exp_avg_sq = exp_avg_sq_N.narrow(0, 0, size);
      slot.exp_avg.read(begin, exp_avg);
      slot.exp_avg_sq.read(begin, exp_avg_sq);
      update({weights_N.narrow(0, begin, size)}, {gradients_N.narrow(0, begin, size)}, {exp_avg},
             {exp_avg_sq}, slot.parameter.decays, learning_rate);
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

StateTensors AdamW::state() const {
  StateTensors tensors;
  for (const Slot& slot : slots_) {
    for (auto& part : state_of(parameters_, slot.parameter, slot.exp_avg, "exp_avg"))
      tensors.push_back(std::move(part));
    for (auto& part : state_of(parameters_, slot.parameter, slot.exp_avg_sq, "exp_avg_sq"))
      tensors.push_back(std::move(part));
  }
  tensors.push_back(state_of(at::full({}, steps_done_, at::TensorOptions().dtype(at::kLong))));
  return tensors;
}

void AdamW::load(const NamedTensors& state, const std::string& where) {
  at::NoGradGuard no_grad;
  const TensorsByName stored = by_name(state);
  const Tensor step = at::zeros({}, at::TensorOptions().dtype(at::kLong));
  restore(state_of(step), stored, where);
  steps_done_ = step.item<std::int64_t>();
  size_t num_read = 1;
  // `key`: of the rounding where the form changes.
  const auto restore_moment = [&](const Parameter& parameter, Moment& moment, const std::string& prefix,
                                  std::uint64_t key) {
    const MomentDType form = stored_form(stored, prefix + "." + parameter.name, moment.dtype());
    const bool same_form = form == moment.dtype();
    const Moment read = same_form ? moment : moment.like(form);
    const StateTensors parts = state_of(parameters_, parameter, read, prefix);
    for (const StateTensor& part : parts) restore(part, stored, where);
    if (!same_form) moment.convert(read, key);
    num_read += parts.size();
  };
  for (size_t i = 0; i < slots_.size(); ++i) {
    Slot& slot = slots_[i];
    restore_moment(slot.parameter, slot.exp_avg, "exp_avg",
                   rounding_key(steps_done_, i, Moment::Kind::kFirst));
    restore_moment(slot.parameter, slot.exp_avg_sq, "exp_avg_sq",
                   rounding_key(steps_done_, i, Moment::Kind::kSecond));
  }
  check_all_read(state, num_read, where);
}

}  // namespace ddro::train
