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

// The largest of each number.
std::vector<double> of_any(const std::vector<double>& values, const dist::Communicator& ranks) {
  std::vector<double> result = values;
  for (const std::vector<double>& of_rank : ranks.all_gather(values)) {
    for (size_t i = 0; i < result.size(); ++i) result[i] = std::max(result[i], of_rank[i]);
  }
  return result;
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
  std::vector<double> weights, gradients;  // 1: not finite
  for (const Parameter& entry : entries) {
    weights.push_back(all_finite(entry.kept_compute()) ? 0 : 1);
    gradients.push_back(!entry.trainable || all_finite(entry.kept_gradient()) ? 0 : 1);
  }
  if (parameters.shard() == dist::Shard::kFull) {
    weights = of_any(weights, parameters.ranks());
    gradients = of_any(gradients, parameters.ranks());
  }
  const auto first = std::ranges::find(weights, 1);
  if (first != weights.end()) return "the weights " + entries[first - weights.begin()].name;
  const auto deepest = std::find(gradients.rbegin(), gradients.rend(), 1);
  return deepest == gradients.rend() ? "" : "the gradient of " + entries[gradients.rend() - deepest - 1].name;
}

}  // namespace ddro::train
