// A model with its tokenizer, or an adapter, as a GGUF file.
#pragma once

#include <filesystem>
#include <string>

#include "ddro/models/gguf_export.h"
#include "ddro/models/model_folder.h"
#include "ddro/text/model_text.h"

namespace ddro::run {

// `folder`: of a model without an adapter, or with one that was merged. Written whole or not at all; read
// back, it has to mean the same. A file of that name is replaced. Error(kInput) for what such files cannot
// say; Error(kSave).
void export_gguf_model(const models::ModelFolder& folder, models::GgufDType dtype,
                       const std::filesystem::path& out);

// Error(kInput) as export_gguf_model for what such files cannot say, without a file. `text`: what `folder` is
// read with.
void check_gguf_model(const models::ModelFolder& folder, const text::ModelText& text,
                      models::GgufDType dtype);

// Error(kInput) that begins with [where] for a type that a GGUF adapter's factors do not have.
void check_gguf_adapter_dtype(models::GgufDType dtype, const std::string& where);

}  // namespace ddro::run
