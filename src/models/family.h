// A model family that can be trained.
#pragma once

#include <vector>

#include "ddro/models/model_spec.h"
#include "models/config_reader.h"

namespace ddro::models {

// Each file of families/ defines one, `extern const Family family_NAME`, where NAME is the file's name and
// the model_type. The build lists the files: a family is its file.
struct Family {
  const char* model_type;
  const char* models;  // published ones that are of it
  // From a config.json; `model_type` and what is the same for all is filled in by parse_model_config.
  ModelSpec (*read)(const ConfigReader& config);
};

// By model_type.
const std::vector<const Family*>& families();

}  // namespace ddro::models
