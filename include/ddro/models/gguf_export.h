// GGUF files for llama.cpp and whatever is built on it.
#pragma once

#include <filesystem>

#include "ddro/base/enum_names.h"
#include "ddro/base/gguf_writer.h"
#include "ddro/models/adapter.h"

namespace ddro::models {

// Of the matrices; norms and biases are float32. kKeep: as the given tensors are, float32 for packed ones.
enum class GgufDType { kKeep, kFloat32, kBFloat16, kFloat16, kQ8_0 };

// `out` from the root. Error(kInput) when it exists.
std::filesystem::path checked_gguf_target(const std::filesystem::path& out);

// A LoRA of `model` in float32, to load beside the model's file: general.type adapter, adapter.type lora, and
// each layer's factors as NAME.weight.lora_a and NAME.weight.lora_b. Written whole or not at all, and read
// back. Error(kInput) where `out` exists, for DoRA, for modules that are trained in full, and for a
// model_type whose files are not known; Error(kSave).
void export_gguf_adapter(const ModelSpec& model, const Adapter& adapter, const std::filesystem::path& out);

// What a model's file says of configuration and weights; the tokenizer is not among it. `tensors`: the
// parameters of `model`, converted one at a time while they are written. Matrices whose rows are not whole
// blocks of Q8_0 become float16. Error(kInput) for a model_type whose files are not known.
void add_gguf_model(GgufWriter& writer, const ModelSpec& model, const NamedTensors& tensors, GgufDType dtype);

// Error(kInput) unless the file's metadata describe `model`: of what there are no keys for, they say nothing.
void check_gguf_model(const GgufFile& file, const ModelSpec& model);

}  // namespace ddro::models

namespace ddro {

template <>
struct EnumNames<models::GgufDType> {
  using E = models::GgufDType;
  static constexpr std::array<EnumName<E>, 5> kNames = {{{"keep", E::kKeep},
                                                         {"float32", E::kFloat32},
                                                         {"bfloat16", E::kBFloat16},
                                                         {"float16", E::kFloat16},
                                                         {"q8_0", E::kQ8_0}}};
};

}  // namespace ddro
