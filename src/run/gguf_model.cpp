#include "ddro/run/gguf_model.h"

#include "ddro/base/files.h"
#include "ddro/run/setup.h"
#include "ddro/text/gguf_tokenizer.h"

namespace ddro::run {

void export_gguf_model(const models::ModelFolder& folder, models::GgufDType dtype,
                       const std::filesystem::path& out) {
  const std::filesystem::path target = models::checked_gguf_target(out);
  const std::filesystem::path own = folder.adapter_path.empty() ? folder.path : folder.adapter_path;
  const text::ModelText text = load_text(own);
  GgufWriter writer;
  models::add_gguf_model(writer, folder.spec, folder.tensors, dtype);
  text::add_gguf_tokenizer(writer, text::has_tokenizer(own) ? own : folder.path, text,
                           folder.spec.vocab_size);
  make_folder(target.parent_path());
  writer.write(target, [&](const GgufFile& file) {
    models::check_gguf_model(file, folder.spec);
    text::check_gguf_tokenizer(file, text);
  });
}

}  // namespace ddro::run
