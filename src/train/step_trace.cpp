#include "ddro/train/step_trace.h"

#include <ATen/core/grad_mode.h>

#include <bit>

#include "train/sum_of_bits.h"

namespace ddro::train {

StepTrace::StepTrace(const StepResult& result, const Parameters& parameters) {
  const at::NoGradGuard no_grad;
  const auto add = [this](const std::string& name, double value) {
    parts_.push_back({name, std::bit_cast<std::uint64_t>(value)});
  };
  for (size_t i = 0; i < result.completions.size(); ++i) {
    const std::string completion = "completion " + std::to_string(i);
    add("the log-probability of " + completion, result.completions[i].logp);
    add("the reference's log-probability of " + completion, result.completions[i].ref_logp);
  }
  add("the loss", result.loss);
  for (const Parameter& entry : parameters.entries()) {
    if (entry.trainable)
      parts_.push_back({"the gradient of " + entry.name, sum_of_bits(entry.kept_gradient())});
  }
}

std::string StepTrace::difference(const StepTrace& other) const {
  for (size_t i = 0; i < parts_.size(); ++i) {
    if (parts_[i].bits != other.parts_[i].bits) return parts_[i].name;
  }
  return "";
}

}  // namespace ddro::train
