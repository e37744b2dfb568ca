// GGUF files for llama.cpp and whatever is built on it.
#pragma once

#include <filesystem>

#include "ddro/models/adapter.h"

namespace ddro::models {

// `out` from the root. Error(kInput) when it exists.
std::filesystem::path checked_gguf_target(const std::filesystem::path& out);

// A LoRA of `model` in float32, to load beside the model's file: general.type adapter, adapter.type lora, and
// each layer's factors as NAME.weight.lora_a and NAME.weight.lora_b. Written whole or not at all, and read
// back. Error(kInput) where `out` exists, for DoRA, for modules that are trained in full, and for a
// model_type whose files are not known; Error(kSave).
void export_gguf_adapter(const ModelSpec& model, const Adapter& adapter, const std::filesystem::path& out);

}  // namespace ddro::models
