#include "text/load_tokenizer.h"

#include "ddro/base/error.h"
#include "ddro/base/hash.h"
#include "text/convert_sentencepiece.h"
#include "text/json_tokenizer.h"

namespace ddro::text {

bool has_tokenizer(const std::filesystem::path& folder) {
  return std::filesystem::exists(folder / "tokenizer.json") ||
         std::filesystem::exists(folder / "tokenizer.model");
}

LoadedTokenizer load_tokenizer_folder(const std::filesystem::path& model_folder) {
  const std::filesystem::path json_file = model_folder / "tokenizer.json";
  const std::filesystem::path model_file = model_folder / "tokenizer.model";
  const bool has_json = std::filesystem::exists(json_file);
  const bool has_model = std::filesystem::exists(model_file);
  if (!has_json && !has_model) {
    throw model_error("[" + printable(model_folder.string(), 400) +
                      "] no tokenizer; expected tokenizer.json or tokenizer.model");
  }
  const TokenizerConfig config = read_tokenizer_config(model_folder);
  const bool of_json = has_json && !(has_model && config.prefers_sentencepiece);
  const std::filesystem::path& file = of_json ? json_file : model_file;
  Value json =
      of_json ? read_large_json(file) : convert_sentencepiece(read_sentencepiece_model(file), config);
  auto tokenizer =
      std::make_unique<JsonTokenizer>(std::move(json), printable(file.string(), 400), config, of_json);
  LoadedTokenizer result;
  result.named_tokens = config.named_texts();
  // The file as it is, and what the others make of it.
  result.hash = hash_text(file.filename().string() + " " + hash_file(file) + "\n" +
                          std::string(config.tokenizer_class->name) + (config.legacy ? " legacy" : "") +
                          (config.prefix_space ? " prefix_space" : "") +
                          (config.byte_level_prefix.value_or(false) ? " byte_level_prefix" : "") + "\n" +
                          tokenizer->describe_rules() + result.named_tokens.dump());
  result.tokenizer = std::move(tokenizer);
  return result;
}

std::unique_ptr<Tokenizer> load_tokenizer(const std::filesystem::path& model_folder) {
  return load_tokenizer_folder(model_folder).tokenizer;
}

}  // namespace ddro::text
