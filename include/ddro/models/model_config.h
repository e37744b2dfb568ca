// config.json of the model families that can be trained.
#pragma once

#include <string>
#include <vector>

#include "ddro/base/json.h"
#include "ddro/models/model_spec.h"

namespace ddro::models {

// A model_type of config.json that can be trained, and published models that have it.
struct KnownFamily {
  std::string model_type;
  std::string models;
};

// By model_type.
std::vector<KnownFamily> known_families();

// As transformers 4 or 5 saves it. An absent key has the default of the family's class in transformers 4.57.
// Error(kModel) that names the file and the key: families that are not known, values out of range, and
// whatever would change the forward but is not built (other rope types and activations, quantized weights but
// has_mxfp4_weights, keys that nothing reads and whose names say so). Dropout is refused, too, except that of
// families whose published configurations have it: like other keys that nothing reads it is listed in
// ModelSpec::unused_settings.
ModelSpec parse_model_config(const Json& config, const std::string& where);

// Whether the folder's weights are to be unpacked first: quantization_config with the method mxfp4.
bool has_mxfp4_weights(const Json& config);

}  // namespace ddro::models
