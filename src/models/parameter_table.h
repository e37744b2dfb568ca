// Parameters by name, for the parts of a model that are made of them.
#pragma once

#include <optional>
#include <string>
#include <unordered_map>

#include "ddro/base/tensor_io.h"
#include "ddro/models/adapter.h"
#include "ddro/models/model_spec.h"
#include "models/layer_parts.h"
#include "models/linear.h"

namespace ddro::models {

// Norms that are not there are empty.
using OptionalNorm = std::optional<Norm>;

inline Tensor normed(const OptionalNorm& norm, const Tensor& x) { return norm ? (*norm)(x) : x; }

// The sum, and the norm of it.
inline ops::NormedSum normed_sum(const OptionalNorm& norm, const Tensor& x, const Tensor& addend) {
  if (norm) return norm->of_sum(x, addend);
  const Tensor sum = x + addend;
  return {sum, sum};
}

// Those of `adapter` (null: none) in place of the base's, or beside them. Spec and adapter outlive the table.
class ParameterTable {
 public:
  ParameterTable(const ModelSpec& spec, const NamedTensors& parameters, const Adapter* adapter)
      : spec_(spec), by_name_(parameters.begin(), parameters.end()), adapter_(adapter) {}

  const Tensor& at(const std::string& name) const { return by_name_.at(name); }
  const Tensor& operator[](const std::string& name) const;
  Norm operator[](const NormSpec& norm) const;
  OptionalNorm operator[](const std::optional<NormSpec>& norm) const;
  Linear operator[](const LinearSpec& linear) const;

 private:
  const ModelSpec& spec_;
  std::unordered_map<std::string, Tensor> by_name_;
  const Adapter* adapter_;
};

}  // namespace ddro::models
