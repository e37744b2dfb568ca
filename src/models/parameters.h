// A model's tensors, as they are given.
#pragma once

#include <string>

#include "ddro/base/tensor_io.h"
#include "ddro/models/model_spec.h"

namespace ddro::models {

// `tensors` in the order of parameters_of(spec). A missing tensor, one too many, a wrong shape or a dtype
// that is not a float: Error(kind) that names it and begins with [where].
NamedTensors match_parameters(const ModelSpec& spec, const NamedTensors& tensors, const std::string& where,
                              ErrorKind kind);

// `spec` with the names that `tensors` have. A folder that holds the trunk as a model of its own leaves out
// the first part of every name ("model."); so does the model that is read from it and written again.
ModelSpec named_as(ModelSpec spec, const NamedTensors& tensors);

}  // namespace ddro::models
