// The families that can be trained. Each has a file of its own name here, with one function from a
// config.json to a ModelSpec; `model_type` and what is the same for all is filled in by parse_model_config.
#pragma once

#include <vector>

#include "ddro/models/model_spec.h"
#include "models/config_reader.h"

namespace ddro::models {

// NAME: the family's model_type; read_NAME is defined in NAME.cpp.
#define DDRO_MODEL_FAMILIES(FAMILY) \
  FAMILY(llama)                     \
  FAMILY(mistral)                   \
  FAMILY(qwen2)                     \
  FAMILY(qwen3)

#define DDRO_DECLARE_FAMILY(name) ModelSpec read_##name(const ConfigReader& config);
DDRO_MODEL_FAMILIES(DDRO_DECLARE_FAMILY)
#undef DDRO_DECLARE_FAMILY

struct Family {
  const char* model_type;
  ModelSpec (*read)(const ConfigReader& config);
};

#define DDRO_FAMILY_ENTRY(name) Family{#name, read_##name},
inline constexpr Family kFamilies[] = {DDRO_MODEL_FAMILIES(DDRO_FAMILY_ENTRY)};
#undef DDRO_FAMILY_ENTRY

}  // namespace ddro::models
