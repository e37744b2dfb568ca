#include "ddro/run/gguf_model.h"

#include "ddro/base/error.h"
#include "ddro/base/files.h"
#include "ddro/text/gguf_tokenizer.h"

namespace ddro::run {
namespace {

namespace fs = std::filesystem;

// Of the folder whose tokenizer is read first.
fs::path own_folder(const models::ModelFolder& folder) {
  return folder.adapter_path.empty() ? folder.path : folder.adapter_path;
}

void add_all(GgufWriter& writer, const models::ModelFolder& folder, const text::ModelText& text,
             models::GgufDType dtype) {
  const fs::path own = own_folder(folder);
  models::add_gguf_model(writer, folder.spec, folder.tensors, dtype);
  text::add_gguf_tokenizer(writer, text::has_tokenizer(own) ? own : folder.path, text,
                           folder.spec.vocab_size);
}

}  // namespace

void export_gguf_model(const models::ModelFolder& folder, models::GgufDType dtype, const fs::path& out) {
  const text::ModelText text =
      text::load_model_text(own_folder(folder), std::nullopt, std::nullopt, folder.path);
  GgufWriter writer;
  add_all(writer, folder, text, dtype);
  const fs::path target = fs::absolute(out);
  make_folder(target.parent_path());
  writer.write(target, [&](const GgufFile& file) {
    models::check_gguf_model(file, folder.spec);
    text::check_gguf_tokenizer(file, text);
  });
}

void check_gguf_model(const models::ModelFolder& folder, const text::ModelText& text,
                      models::GgufDType dtype) {
  GgufWriter writer;
  add_all(writer, folder, text, dtype);
}

void check_gguf_adapter_dtype(models::GgufDType dtype, const std::string& where) {
  if (dtype == models::GgufDType::kKeep || dtype == models::GgufDType::kFloat32) return;
  throw input_error("[" + where + "] a GGUF adapter is of float32; got " + enum_name(dtype) +
                    ", expected keep or float32");
}

}  // namespace ddro::run
