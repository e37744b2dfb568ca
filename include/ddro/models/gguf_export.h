// GGUF files for llama.cpp and whatever is built on it.
#pragma once

#include <filesystem>

#include "ddro/base/gguf_writer.h"
#include "ddro/models/adapter.h"
#include "ddro/models/model_options.h"

namespace ddro::models {

// `out` from the root. Error(kInput) when it exists.
std::filesystem::path checked_gguf_target(const std::filesystem::path& out);

// Error(kInput) for what is no GGUF adapter: DoRA, modules that are trained in full, and a model_type whose
// files are not known.
void check_gguf_adapter(const ModelSpec& model, const AdapterSpec& adapter);

// A LoRA of `model` in float32, to load beside the model's file: general.type adapter, adapter.type lora, and
// each layer's factors as NAME.weight.lora_a and NAME.weight.lora_b. It names its base as adapter.config
// does, with the hash of its weights. Written whole or not at all, and read back; a file of that name is
// replaced. Error(kInput) as check_gguf_adapter; Error(kSave).
void export_gguf_adapter(const ModelSpec& model, const Adapter& adapter, const std::string& base_hash,
                         const std::filesystem::path& out);

// What a model's file says of configuration and weights; the tokenizer is not among it. `tensors`: the
// parameters of `model`, converted one at a time while they are written. Matrices whose rows are not whole
// blocks of Q8_0 become float16. Error(kInput) for a model_type whose files are not known.
void add_gguf_model(GgufWriter& writer, const ModelSpec& model, const NamedTensors& tensors, GgufDType dtype);

// Error(kInput) unless the file's metadata describe `model`: of what there are no keys for, they say nothing.
void check_gguf_model(const GgufFile& file, const ModelSpec& model);

}  // namespace ddro::models
