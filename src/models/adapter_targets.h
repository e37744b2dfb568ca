// How PEFT finds the modules that a configuration names.
#pragma once

#include <string>
#include <vector>

#include "ddro/models/model_spec.h"

namespace ddro::models {

// Whether a layer's name is `target`, or ends with it behind a dot.
bool is_named(const std::string& layer, const std::string& target);

// Whether a parameter is in a module of modules_to_save: one of the modules around it has a name that ends
// with `module`.
bool belongs_to(const std::string& parameter, const std::string& module);

// The names that all-linear stands for, and the same as a text: "q_proj, k_proj, ...".
std::vector<std::string> all_linear(const ModelSpec& model);
std::string known_targets(const ModelSpec& model);

}  // namespace ddro::models
