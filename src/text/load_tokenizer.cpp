#include "ddro/base/error.h"
#include "text/json_tokenizer.h"
#include "text/sentencepiece_tokenizer.h"

namespace ddro::text {

std::unique_ptr<Tokenizer> load_tokenizer(const std::filesystem::path& model_folder) {
  const std::filesystem::path json = model_folder / "tokenizer.json";
  if (std::filesystem::exists(json)) return std::make_unique<JsonTokenizer>(json);
  if (std::filesystem::exists(model_folder / "tokenizer.model")) {
    return std::make_unique<SentencePieceTokenizer>(model_folder);
  }
  throw model_error("[" + printable(model_folder.string(), 400) +
                    "] no tokenizer; expected tokenizer.json or tokenizer.model");
}

}  // namespace ddro::text
