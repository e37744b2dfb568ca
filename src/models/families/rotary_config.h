// Rotary embeddings as configurations say them.
#pragma once

#include "ddro/models/model_spec.h"
#include "models/config_reader.h"

namespace ddro::models {

// Both spellings: rope_theta with rope_scaling, and the newer rope_parameters that holds them together.
// Error(kModel) for types and keys that are not built.
RotarySpec read_rotary(const ConfigReader& config);

}  // namespace ddro::models
