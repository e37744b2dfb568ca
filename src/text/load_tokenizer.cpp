#include "text/load_tokenizer.h"

#include "ddro/base/error.h"
#include "ddro/base/hash.h"
#include "text/convert_sentencepiece.h"
#include "text/json_tokenizer.h"
#include "text/ranked_bytes.h"

namespace ddro::text {
namespace {

constexpr const char* kJsonFile = "tokenizer.json";
constexpr const char* kModelFile = "tokenizer.model";  // sentencepiece's, or tiktoken's
constexpr const char* kTekkenFile = "tekken.json";

bool has(const std::filesystem::path& folder, const char* file) {
  return std::filesystem::exists(folder / file);
}

// The one that counts of those that `folder` has.
const char* tokenizer_file(const std::filesystem::path& folder, const TokenizerConfig& config) {
  const bool has_model = has(folder, kModelFile);
  if (has(folder, kJsonFile) && !(has_model && config.prefers_sentencepiece)) return kJsonFile;
  return has_model ? kModelFile : kTekkenFile;
}

Value read_tokenizer_json(const std::filesystem::path& file, const TokenizerConfig& config) {
  if (file.filename() == kJsonFile) return read_large_json(file);
  if (file.filename() == kTekkenFile) return convert_tekken(file);
  return is_tiktoken(file) ? convert_tiktoken(file, config)
                           : convert_sentencepiece(read_sentencepiece_model(file), config);
}

}  // namespace

bool has_tokenizer(const std::filesystem::path& folder) {
  return has(folder, kJsonFile) || has(folder, kModelFile) || has(folder, kTekkenFile);
}

LoadedTokenizer load_tokenizer_folder(const std::filesystem::path& model_folder) {
  if (!has_tokenizer(model_folder)) {
    throw model_error("[" + printable(model_folder.string(), 400) +
                      "] no tokenizer; expected tokenizer.json, tokenizer.model or tekken.json");
  }
  const TokenizerConfig config = read_tokenizer_config(model_folder);
  const std::filesystem::path file = model_folder / tokenizer_file(model_folder, config);
  Value json = read_tokenizer_json(file, config);
  LoadedTokenizer result;
  auto tokenizer = std::make_unique<JsonTokenizer>(std::move(json), printable(file.string(), 400), config,
                                                   file.filename() == kJsonFile);
  result.kind = file.filename().string() + " (" + tokenizer->model_type() + ")";
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
