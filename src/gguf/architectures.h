// The architectures of GGUF files whose models can be trained: general.architecture, and what it means.
#pragma once

#include <span>
#include <string_view>

#include "ddro/base/json.h"
#include "gguf/metadata.h"

namespace ddro::gguf {

// Of a layer: blk.N.NAME is model.layers.N.FOLDER_NAME.
struct PartName {
  std::string_view name, folder_name;
};

struct Architecture {
  std::string_view name, model_type, model_class;
  std::span<const PartName> parts;
  bool paired_rows = false;            // of queries and keys: see ModelTensor
  bool plus_one = false;               // the norms' weights: see ModelTensor
  std::string_view also = {};          // of another model_type that is written so
  bool is_gemma = false;               // its sentencepiece tokenizer puts no space in front
  void (*add)(Metadata&, Json&) = {};  // to config.json what only it has
};

// Error(kModel) for one that is not known, a part of a split model, and what is no model.
const Architecture& architecture_of(const GgufFile& file);

// Of models of a config.json's model_type; null for a type that is written as none of them.
const Architecture* find_architecture(std::string_view model_type);
std::string known_architectures();  // "llama, qwen2, ...", for messages

// Of the model: NAME is FOLDER_NAME.
inline constexpr PartName kOuterParts[] = {
    {"token_embd", "model.embed_tokens"}, {"output_norm", "model.norm"}, {"output", "lm_head"}};

Json model_config(const GgufFile& file, const Architecture& architecture);

}  // namespace ddro::gguf
