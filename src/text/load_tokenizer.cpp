#include "text/load_tokenizer.h"

#include "ddro/base/error.h"
#include "ddro/base/hash.h"
#include "text/convert_byte_pairs.h"
#include "text/convert_sentencepiece.h"
#include "text/json_tokenizer.h"
#include "text/ranked_bytes.h"

namespace ddro::text {
namespace {

constexpr const char* kJsonFile = "tokenizer.json";
constexpr const char* kModelFile = "tokenizer.model";  // sentencepiece's, or tiktoken's
constexpr const char* kTekkenFile = "tekken.json";
constexpr const char* kVocabularyFile = "vocab.json";
constexpr const char* kMergesFile = "merges.txt";

// The one that counts of those that the model has.
std::string tokenizer_file(const gguf::ModelFiles& files, const TokenizerConfig& config) {
  const bool has_model = files.has(kModelFile);
  if (files.has(kJsonFile) && !(has_model && config.prefers_sentencepiece)) return kJsonFile;
  if (has_model) return kModelFile;
  return files.has(kTekkenFile) ? kTekkenFile : kVocabularyFile;
}

Value read_tokenizer_json(const gguf::ModelFiles& files, const std::string& name,
                          const TokenizerConfig& config) {
  if (name == kJsonFile) return read_large_json(files, name);
  if (name == kTekkenFile) return convert_tekken(files);
  if (name == kVocabularyFile) return convert_byte_pairs(files, config);
  return is_tiktoken(files.read(name)) ? convert_tiktoken(files, config)
                                       : convert_sentencepiece(read_sentencepiece_model(files), config);
}

// What such files get in front of a text, only their configuration says.
void take_byte_pair_rules(TokenizerConfig& config) {
  config.makes_post_processor = config.tokenizer_class->name != "Qwen2Tokenizer";
  config.add_eos = false;
}

}  // namespace

bool has_tokenizer(const gguf::ModelFiles& files) {
  return files.has(kJsonFile) || files.has(kModelFile) || files.has(kTekkenFile) ||
         (files.has(kVocabularyFile) && files.has(kMergesFile));
}

LoadedTokenizer load_tokenizer_folder(const gguf::ModelFiles& files) {
  if (!has_tokenizer(files)) {
    throw model_error("[" + printable(files.model().string(), 400) +
                      "] no tokenizer; expected tokenizer.json, tokenizer.model, tekken.json, or vocab.json "
                      "and merges.txt");
  }
  TokenizerConfig config = read_tokenizer_config(files);
  const std::string name = tokenizer_file(files, config);
  if (name == kVocabularyFile) take_byte_pair_rules(config);
  Value json = read_tokenizer_json(files, name, config);
  LoadedTokenizer result;
  auto tokenizer =
      std::make_unique<JsonTokenizer>(std::move(json), files.place(name), config, name == kJsonFile);
  result.kind =
      (is_gguf_file(files.model()) ? "in the file's metadata" : name) + " (" + tokenizer->model_type() + ")";
  result.named_tokens = config.named_texts();
  // The file as it is, and what the others make of it.
  result.hash = hash_text(name + " " + hash_text(files.read(name)) + "\n" +
                          (name == kVocabularyFile ? hash_text(files.read(kMergesFile)) : "") +
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
