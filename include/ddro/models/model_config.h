// config.json of the model families that can be trained.
#pragma once

#include <string>

#include "ddro/base/json.h"
#include "ddro/models/model_spec.h"

namespace ddro::models {

// As transformers 4 or 5 saves it. An absent key has the default of the family's class in transformers 4.57.
// Error(kModel) that names the file and the key: families that are not known, values out of range, and
// whatever would change the forward but is not built (other rope types and activations, partial rotary
// embeddings, quantized weights, attention dropout, other patterns of windows than a family's own).
ModelSpec parse_model_config(const Json& config, const std::string& where);

}  // namespace ddro::models
