#include "ddro/train/optimizer.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <ATen/record_function.h>
#include <c10/util/accumulate.h>

#include <algorithm>

#include "ddro/base/error.h"
#include "ddro/base/random.h"
#include "train/stored_tensors.h"
#include "train/update_rule.h"

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

}  // namespace

std::vector<std::int64_t> MomentSpec::sizes_for(at::IntArrayRef parameter) const {
  std::vector<std::int64_t> sizes = parameter.vec();
  if (shape == Shape::kRows) sizes.pop_back();
  if (shape == Shape::kColumns) sizes.erase(sizes.end() - 2);
  return sizes;
}

UpdateRules make_update_rules(const OptimizerOptions& options) {
  const auto of_all = [](const UpdateRule& rule) {
    return UpdateRules{rule, rule, [](models::ParameterRole, at::IntArrayRef) { return false; }};
  };
  switch (options.optim) {
    case Optim::kAdamW:
      return of_all(adamw(options));
    case Optim::kSgd:
      return of_all(sgd(options));
    case Optim::kLion:
      return of_all(lion(options));
    case Optim::kAdafactor:
      return adafactor();
    case Optim::kMuon:
      return muon(options);
  }
  return of_all(adamw(options));
}

std::int64_t num_moment_numbers(const OptimizerOptions& options, models::ParameterRole role,
                                at::IntArrayRef sizes) {
  const UpdateRules rules = make_update_rules(options);
  std::int64_t count = 0;
  for (const MomentSpec& spec : rules.of(role, sizes).moments)
    count += c10::multiply_integers(spec.sizes_for(sizes));
  return count;
}

Optimizer::Optimizer(Parameters& parameters, const OptimizerOptions& options)
    : parameters_(parameters),
      options_(options),
      rules_(std::make_unique<UpdateRules>(make_update_rules(options))) {
  DDRO_CHECK(!parameters.is_sharded() || !needs_whole_tensors(options.optim), "tensors that are whole");
  for (const Parameter& parameter : parameters.entries()) {
    if (!parameter.trainable) continue;
    Slot slot{parameter, rules_->of(parameter.role, parameter.compute.sizes()), {}};
    for (const MomentSpec& spec : slot.rule.moments) {
      slot.moments.emplace_back(spec.kind, options.moment_dtype, spec.sizes_for(parameter.master.sizes()),
                                parameter.master.options(), parameter.part.begin);
    }
    slots_.push_back(std::move(slot));
  }
}

Optimizer::~Optimizer() = default;

void Optimizer::step(double learning_rate, double gradient_scale) {
  RECORD_USER_SCOPE("update");
  at::NoGradGuard no_grad;
  if (gradient_scale != 1.0) parameters_.scale_gradients(gradient_scale);
  ++steps_done_;
  if (options_.moment_dtype == MomentDType::kFloat32) {
    for (const UpdateRule* rule : {&rules_->matrices, &rules_->others}) {
      update_group(*rule, /*decays=*/true, learning_rate);
      update_group(*rule, /*decays=*/false, learning_rate);
    }
  } else {
    update_in_chunks(learning_rate);
  }
  parameters_.masters_changed();
}

UpdateBatch Optimizer::batch(const UpdateRule& rule, bool decays, double learning_rate) const {
  return {.weights = {},
          .gradients = {},
          .moments = std::vector<std::vector<Tensor>>(rule.moments.size()),
          .learning_rate = learning_rate,
          .weight_decay = decays ? options_.weight_decay : 0.0,
          .update = steps_done_};
}

void Optimizer::update_group(const UpdateRule& rule, bool decays, double learning_rate) {
  UpdateBatch group = batch(rule, decays, learning_rate);
  for (const Slot& slot : slots_) {
    if (&slot.rule != &rule || slot.parameter.decays != decays || slot.parameter.part.size == 0) continue;
    group.weights.push_back(slot.parameter.master.detach());
    group.gradients.push_back(slot.parameter.own_gradient);
    for (size_t i = 0; i < slot.moments.size(); ++i) group.moments[i].push_back(slot.moments[i].stored());
  }
  if (!group.weights.empty()) rule.apply(group);
}

// Moments in a short form are read, updated and written a chunk at a time.
void Optimizer::update_in_chunks(double learning_rate) {
  const at::Device device = slots_.front().parameter.master.device();
  const std::int64_t chunk = moment_chunk(device);
  const Tensor values_MN = at::empty({static_cast<std::int64_t>(rules_->others.moments.size()), chunk},
                                     at::TensorOptions(device).dtype(at::kFloat));
  for (size_t s = 0; s < slots_.size(); ++s) {
    Slot& slot = slots_[s];
    const Tensor weights_N = slot.parameter.master.detach().view(-1);
    const Tensor gradients_N = slot.parameter.own_gradient.view(-1);
    for (std::int64_t begin = 0; begin < weights_N.numel(); begin += chunk) {
      const std::int64_t size = std::min(chunk, weights_N.numel() - begin);
      UpdateBatch part = batch(slot.rule, slot.parameter.decays, learning_rate);
      part.weights = {weights_N.narrow(0, begin, size)};
      part.gradients = {gradients_N.narrow(0, begin, size)};
      for (size_t i = 0; i < slot.moments.size(); ++i) {
        part.moments[i] = {values_MN[static_cast<std::int64_t>(i)].narrow(0, 0, size)};
        slot.moments[i].read(begin, part.moments[i].front());
      }
      slot.rule.apply(part);
      for (size_t i = 0; i < slot.moments.size(); ++i)
        slot.moments[i].write(begin, part.moments[i].front(), rounding_key(s, i));
    }
  }
}

// Of the roundings of one moment after one update. Parameters have a fixed order.
std::uint64_t Optimizer::rounding_key(size_t slot, size_t moment) const {
  return random_bits(static_cast<std::uint64_t>(steps_done_), slot,
                     static_cast<std::uint64_t>(slots_[slot].rule.moments[moment].kind));
}

StateTensors Optimizer::state() const {
  StateTensors tensors;
  for (const Slot& slot : slots_) {
    for (size_t i = 0; i < slot.moments.size(); ++i) {
      for (auto& part : state_of(parameters_, slot.parameter, slot.moments[i], slot.rule.moments[i].name))
        tensors.push_back(std::move(part));
    }
  }
  tensors.push_back(state_of(at::full({}, steps_done_, at::TensorOptions().dtype(at::kLong))));
  return tensors;
}

void Optimizer::load(const NamedTensors& state, const std::string& where) {
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
  for (size_t s = 0; s < slots_.size(); ++s) {
    for (size_t i = 0; i < slots_[s].moments.size(); ++i)
      restore_moment(slots_[s].parameter, slots_[s].moments[i], slots_[s].rule.moments[i].name,
                     rounding_key(s, i));
  }
  check_all_read(state, num_read, where);
}

}  // namespace ddro::train
