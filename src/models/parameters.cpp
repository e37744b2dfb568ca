#include "models/parameters.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <unordered_map>

#include "ddro/base/error.h"

namespace ddro::models {
namespace {

std::string shape_text(at::IntArrayRef shape) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size(); ++i) text += (i ? ", " : "") + std::to_string(shape[i]);
  return text + "]";
}

bool is_float(at::ScalarType type) {
  return type == at::kDouble || type == at::kFloat || type == at::kHalf || type == at::kBFloat16;
}

}  // namespace

NamedTensors match_parameters(const ModelSpec& spec, const NamedTensors& tensors, const std::string& where,
                              ErrorKind kind) {
  const auto fail = [&](const std::string& name, const std::string& what) {
    return Error(kind, "[" + where + "] tensor " + printable(name) + " " + what);
  };
  std::unordered_map<std::string, Tensor> by_name;
  for (const auto& [name, tensor] : tensors) {
    if (!by_name.emplace(name, tensor).second) throw fail(name, "occurs twice");
  }
  NamedTensors matched;
  for (const auto& [expected, shape] : parameters_of(spec)) {
    const auto found = by_name.find(expected);
    if (found == by_name.end())
      throw fail(expected, "is missing; config.json calls for it with shape " + shape_text(shape));
    if (found->second.sizes() != at::IntArrayRef(shape)) {
      throw fail(expected, "has the wrong shape; got " + shape_text(found->second.sizes()) + ", expected " +
                               shape_text(shape));
    }
    if (!is_float(found->second.scalar_type())) {
      throw fail(expected, std::string("is not a float tensor; got ") +
                               c10::toString(found->second.scalar_type()) +
                               ", expected float64, float32, float16 or bfloat16");
    }
    matched.emplace_back(expected, found->second);
    by_name.erase(found);
  }
  for (const auto& [name, tensor] : tensors) {
    if (by_name.contains(name))
      throw fail(name, "is not a parameter of this " + spec.model_type + " configuration");
  }
  return matched;
}

ModelSpec named_as(ModelSpec spec, const NamedTensors& tensors) {
  const std::string prefix = spec.embedding_name.substr(0, spec.embedding_name.find('.') + 1);
  const std::string without = spec.embedding_name.substr(prefix.size());
  const auto has = [&](const std::string& name) {
    return std::any_of(tensors.begin(), tensors.end(),
                       [&](const auto& named) { return named.first == name; });
  };
  if (!has(spec.embedding_name) && has(without)) drop_prefix(spec, prefix);
  return spec;
}

}  // namespace ddro::models
