#include "models/parameters.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <map>
#include <span>
#include <unordered_map>

#include "ddro/base/error.h"
#include "ddro/base/hash.h"
#include "ddro/base/interruption.h"
#include "ddro/ops/packed.h"

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

NamedTensors match_tensors(const std::vector<ParameterSpec>& expected, const NamedTensors& tensors,
                           const MatchErrors& errors) {
  const auto fail = [&](const std::string& name, const std::string& what) {
    return Error(errors.kind, "[" + errors.where + "] tensor " + printable(name) + " " + what);
  };
  std::unordered_map<std::string, Tensor> by_name;
  for (const auto& [name, tensor] : tensors) {
    if (!by_name.emplace(name, tensor).second) throw fail(name, "occurs twice");
  }
  NamedTensors matched;
  for (const auto& [name, shape] : expected) {
    const auto found = by_name.find(name);
    if (found == by_name.end())
      throw fail(name, "is missing; " + errors.missing + " with shape " + shape_text(shape));
    const bool is_packed = errors.may_be_packed && ops::is_packed(found->second);
    const auto own = is_packed ? ops::shape_of_numbers(found->second) : found->second.sizes().vec();
    if (own != shape) {
      throw fail(name, "has the wrong shape; got " + shape_text(own) + ", expected " + shape_text(shape));
    }
    if (!is_packed && !is_float(found->second.scalar_type())) {
      throw fail(name, std::string("is not a float tensor; got ") +
                           c10::toString(found->second.scalar_type()) +
                           ", expected float64, float32, float16 or bfloat16");
    }
    matched.emplace_back(name, found->second);
    by_name.erase(found);
  }
  for (const auto& [name, tensor] : tensors) {
    if (by_name.contains(name)) throw fail(name, errors.surplus);
  }
  return matched;
}

NamedTensors match_parameters(const ModelSpec& spec, const NamedTensors& tensors, const std::string& where,
                              ErrorKind kind, bool may_be_packed) {
  return match_tensors(parameters_of(spec), tensors,
                       {.where = where,
                        .kind = kind,
                        .missing = "config.json calls for it",
                        .surplus = "is not a parameter of this " + spec.model_type + " configuration",
                        .may_be_packed = may_be_packed});
}

ModelSpec with_own_head(ModelSpec spec, const NamedTensors& tensors) {
  spec.tie_word_embeddings = spec.tie_word_embeddings &&
                             std::none_of(tensors.begin(), tensors.end(),
                                          [&](const auto& named) { return named.first == spec.head_name; });
  return spec;
}

std::string hash_tensors(const NamedTensors& tensors) {
  std::map<std::string, Tensor> by_name(tensors.begin(), tensors.end());
  Hasher hasher;
  const auto update = [&](std::int64_t, const Tensor& numbers) {
    hasher.update(std::span(static_cast<const std::byte*>(numbers.const_data_ptr()), numbers.nbytes()));
  };
  for (const auto& [name, tensor] : by_name) {
    leave_if_interrupted();
    const at::ScalarType type = ops::is_packed(tensor) ? at::kFloat : tensor.scalar_type();
    std::string head = name + '\0' + c10::toString(type);
    for (const std::int64_t size : ops::shape_of_numbers(tensor))
      head.append(",").append(std::to_string(size));
    hasher.update(head + '\0');
    ops::for_parts_of(tensor, type, update);
  }
  return hasher.hex();
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
