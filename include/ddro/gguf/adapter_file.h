// What a GGUF adapter says beside its tensors: a LoRA as llama.cpp loads it with --lora, written by its
// convert_lora_to_gguf.py or by ddro/models/gguf_export.h.
#pragma once

#include <string>

#include "ddro/base/gguf_file.h"

namespace ddro::gguf {

// Keys of this project: what adapter_config.json and adapter_model.safetensors say of an adapter's base.
inline constexpr const char* kBaseName = "ddro.base_model_name_or_path";
inline constexpr const char* kBaseHash = "ddro.base_model_hash";

// What follows the name of a weight in those of its factors A and B.
inline constexpr const char* kFactorA = ".lora_a";
inline constexpr const char* kFactorB = ".lora_b";

struct AdapterKeys {
  std::string architecture;  // of its base
  double alpha = 0;          // a product of factors of rank R counts alpha / R times
  std::string base;          // a path or org/name of Hugging Face; empty: the file does not say
  std::string base_hash;     // of the base's weights; empty: the file does not say
};

// Whether general.type says so.
bool is_adapter(const GgufFile& file);

// Error(kModel) for a file that is no LoRA, and for a key of adapters that is not known, since it may change
// what the adapter computes.
AdapterKeys read_adapter_keys(const GgufFile& file);

}  // namespace ddro::gguf
