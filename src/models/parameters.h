// A model's tensors, as they are given.
#pragma once

#include <string>
#include <vector>

#include "ddro/base/tensor_io.h"
#include "ddro/models/model_spec.h"

namespace ddro::models {

// What is said of tensors that are not what was expected.
struct MatchErrors {
  std::string where;  // begins each message, in brackets
  ErrorKind kind = ErrorKind::kModel;
  std::string missing;         // who calls for a tensor that is missing: "config.json calls for it"
  std::string surplus;         // "is not a parameter of ..."
  bool may_be_packed = false;  // matrices (ddro/ops/packed.h)
};

// `tensors` in the order of `expected`. A missing tensor, one too many, a wrong shape or a dtype that is not
// a float: an Error that names it.
NamedTensors match_tensors(const std::vector<ParameterSpec>& expected, const NamedTensors& tensors,
                           const MatchErrors& errors);

// `tensors` in the order of parameters_of(spec). A missing tensor, one too many, a wrong shape or a dtype
// that is not a float: Error(kind) that names it and begins with [where].
NamedTensors match_parameters(const ModelSpec& spec, const NamedTensors& tensors, const std::string& where,
                              ErrorKind kind, bool may_be_packed = false);

// `spec` with the names that `tensors` have. A folder that holds the trunk as a model of its own leaves out
// the first part of every name ("model."); so does the model that is read from it and written again.
ModelSpec named_as(ModelSpec spec, const NamedTensors& tensors);

// `spec` with a head of its own where it ties the head to the embedding and `tensors` hold one.
ModelSpec with_own_head(ModelSpec spec, const NamedTensors& tensors);

// Of names, types, shapes and bytes: equal for equal tensors, whatever their order. What is packed counts as
// float32 numbers.
std::string hash_tensors(const NamedTensors& tensors);

}  // namespace ddro::models
