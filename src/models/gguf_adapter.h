// A GGUF adapter as the PEFT folder that it stands for.
#pragma once

#include <filesystem>
#include <string>

#include "ddro/base/json.h"
#include "ddro/base/tensor_io.h"
#include "ddro/models/model_spec.h"

namespace ddro::models {

struct PeftContent {
  Json config;            // adapter_config.json
  NamedTensors tensors;   // of adapter_model.safetensors
  std::string base_hash;  // empty: it does not say
};

// Rows and names are the folder's; blocks are unpacked. A layer's scale is adapter.lora.alpha over its rank.
// Error(kModel) as gguf::read_adapter_keys, for an adapter of another architecture than the model's, and for
// a tensor that is no factor of one of its linear layers. Shapes are not compared.
PeftContent read_gguf_adapter(const std::filesystem::path& file, const ModelSpec& model);

}  // namespace ddro::models
