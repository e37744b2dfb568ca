// A model's parameters by what a forward computes with at one time.
#pragma once

#include <cstddef>
#include <string>
#include <unordered_map>
#include <vector>

#include "ddro/models/model_spec.h"

namespace ddro::models {

// Those of parameters_of, in the order in which a forward needs them: the embedding; each layer; the head
// with the norm before it, a part of the first unit where head and embedding are tied.
std::vector<std::vector<ParameterSpec>> units_of(const ModelSpec& model);

// By name, the unit that each is in.
std::unordered_map<std::string, size_t> unit_of_each(const ModelSpec& model);

}  // namespace ddro::models
