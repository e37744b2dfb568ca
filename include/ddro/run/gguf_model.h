// A model with its tokenizer as a GGUF file.
#pragma once

#include <filesystem>

#include "ddro/models/gguf_export.h"
#include "ddro/models/model_folder.h"

namespace ddro::run {

// `folder`: of a model without an adapter, or with one that was merged. Written whole or not at all; read
// back, it has to mean the same. Error(kInput) where `out` exists, and for what such files cannot say;
// Error(kSave).
void export_gguf_model(const models::ModelFolder& folder, models::GgufDType dtype,
                       const std::filesystem::path& out);

}  // namespace ddro::run
