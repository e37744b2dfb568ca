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

}  // namespace ddro::models
