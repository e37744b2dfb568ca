#include "models/parameter_table.h"

#include "ddro/ops/packed.h"

namespace ddro::models {

const Tensor& ParameterTable::operator[](const std::string& name) const {
  const auto trained = by_name_.find(kAdapterPrefix + name);
  return trained != by_name_.end() ? trained->second : at(name);
}

Norm ParameterTable::operator[](const NormSpec& norm) const {
  return {spec_.norm_kind, spec_.norm_eps, norm.name.empty() ? Tensor() : (*this)[norm.name + ".weight"],
          norm.bias ? (*this)[norm.name + ".bias"] : Tensor()};
}

OptionalNorm ParameterTable::operator[](const std::optional<NormSpec>& norm) const {
  return norm ? OptionalNorm((*this)[*norm]) : std::nullopt;
}

Linear ParameterTable::operator[](const LinearSpec& linear) const {
  if (linear.name.empty()) return {};
  Linear result{.weight = (*this)[linear.weight_name()],
                .bias = linear.bias ? (*this)[linear.bias_name()] : Tensor(),
                .transposed = linear.transposed,
                .expert = std::nullopt,
                .low_rank = {},
                .magnitude = {}};
  const AdaptedLinear* adapted = adapter_ ? adapter_->spec.find(linear.name) : nullptr;
  if (!adapted) return result;
  result.low_rank = {at(adapted->a_name()), at(adapted->b_name()), adapted->scale};
  if (!adapter_->spec.dora) return result;
  const Tensor weight_ED = ops::numbers_of(result.weight_ED(), result.low_rank->a_RD.scalar_type());
  result.magnitude = {at(adapted->magnitude_name()), row_norms(weight_ED)};
  return result;
}

}  // namespace ddro::models
