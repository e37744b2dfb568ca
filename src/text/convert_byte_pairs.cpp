#include "text/convert_byte_pairs.h"

#include "ddro/base/error.h"
#include "ddro/base/utf8.h"
#include "ddro/gguf/word_rules.h"

namespace ddro::text {
namespace {

constexpr const char* kVocabulary = "vocab.json";
constexpr const char* kMerges = "merges.txt";

// The name of the rules by which a class cuts text into words.
std::string_view words_of(const TokenizerConfig& config) {
  const std::string_view name = config.tokenizer_class->name;
  if (name == "GPT2Tokenizer" || name == "CodeGenTokenizer") return "gpt-2";
  if (name == "Qwen2Tokenizer") return "qwen2";
  throw model_error(
      "[" + config.place +
      "] vocab.json and merges.txt do not say how text is cut into words, and tokenizer_class " +
      "is none that does; expected GPT2Tokenizer, CodeGenTokenizer or Qwen2Tokenizer, or a " +
      "tokenizer.json");
}

// "LEFT RIGHT" a line, behind one that names a version.
Value read_merges(const gguf::ModelFiles& files) {
  const std::string text = files.read(kMerges);
  const std::string place = files.place(kMerges);
  if (find_invalid_utf8(text) != std::string::npos) throw model_error("[" + place + "] is not UTF-8");
  Value merges = Value::array();
  size_t number = 1;
  for (size_t begin = 0; begin < text.size(); ++number) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    std::string_view line = std::string_view(text).substr(begin, end - begin);
    begin = end + 1;
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty() || (number == 1 && line.starts_with("#version"))) continue;
    const size_t space = line.find(' ');
    if (space == 0 || space + 1 == line.size() || space == std::string_view::npos ||
        line.find(' ', space + 1) != std::string_view::npos) {
      throw model_error("[" + place + ":" + std::to_string(number) +
                        "] expected two tokens with a space between them");
    }
    merges.push_back({line.substr(0, space), line.substr(space + 1)});
  }
  return merges;
}

}  // namespace

Value convert_byte_pairs(const gguf::ModelFiles& files, const TokenizerConfig& config) {
  const gguf::WordRules words = *gguf::word_rules(words_of(config));
  return {
      {"version", "1.0"},
      {"added_tokens", Value::array()},
      {"normalizer", words.normalizer},
      {"pre_tokenizer", words.pre_tokenizer},
      {"decoder", gguf::byte_level_decoder()},
      {"model",
       {{"type", "BPE"}, {"vocab", read_large_json(files, kVocabulary)}, {"merges", read_merges(files)}}}};
}

}  // namespace ddro::text
