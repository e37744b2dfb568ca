#include "ddro/train/finite.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>

namespace ddro::train {
namespace {

bool all_finite(const Tensor& tensor) {
  // A sum over finite values of a well-behaved model is finite; only a suspicious one is looked at closely.
  return std::isfinite(at::sum(tensor, at::kDouble).item<double>()) ||
         at::isfinite(tensor).all().item<bool>();
}

}  // namespace

bool is_finite(const std::string& name, const Tensor& stored) {
  const at::NoGradGuard no_grad;
  if (stored.is_floating_point()) return all_finite(stored);
  // The codes of a short form are numbers where their block's exponent is one: ddro/ops/moment_code.h.
  return name.find("_exponents.") == std::string::npos || !stored.eq(255).any().item<bool>();
}

std::string non_finite_origin(const Parameters& parameters) {
  const at::NoGradGuard no_grad;
  const std::vector<Parameter>& entries = parameters.entries();
  for (const Parameter& entry : entries) {
    if (!all_finite(entry.compute)) return "the weights " + entry.name;
  }
  const auto deepest = std::find_if(entries.rbegin(), entries.rend(), [](const Parameter& entry) {
    return entry.trainable && !all_finite(entry.gradient);
  });
  return deepest == entries.rend() ? "" : "the gradient of " + deepest->name;
}

}  // namespace ddro::train
