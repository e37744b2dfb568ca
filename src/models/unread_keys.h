// Keys of a config.json that the family's file did not ask for.
#pragma once

#include <string>
#include <vector>

#include "ddro/models/model_spec.h"
#include "models/config_reader.h"

namespace ddro::models {

// After a family has read its configuration to `model`. A key that is on and whose name says that it changes
// what a model computes is refused, since the weights were trained with something that is not built; text
// only where it names other positions or norms, for it mostly says again what the class has. What is on
// otherwise comes back, as "NAME VALUE", to be named as without effect; what is off, and what has to do with
// saving, generation or initialisation, is passed over.
std::vector<std::string> check_unread_keys(const ConfigReader& config, const ModelSpec& model);

}  // namespace ddro::models
