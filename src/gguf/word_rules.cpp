#include "ddro/gguf/word_rules.h"

#include <algorithm>
#include <iterator>

namespace ddro::gguf {
namespace {

enum class Words { kGpt2, kDigitsThenGpt2, kLlama3, kQwen2 };

struct Name {
  std::string_view name;
  Words words;
};

constexpr Name kNames[] = {
    {"gpt-2", Words::kGpt2},
    {"olmo", Words::kGpt2},
    {"smollm", Words::kDigitsThenGpt2},
    {"starcoder", Words::kDigitsThenGpt2},
    {"refact", Words::kDigitsThenGpt2},
    {"llama-bpe", Words::kLlama3},
    {"llama3", Words::kLlama3},
    {"llama-v3", Words::kLlama3},
    {"qwen2", Words::kQwen2},
};

// As the tokenizer.json files of these models have them.
constexpr const char* kLlama3Pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr const char* kQwen2Pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

Json byte_level(bool cuts_words) {
  return {
      {"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", cuts_words}};
}

Json pre_tokenizer(Words words) {
  if (words == Words::kGpt2) return byte_level(true);
  Json first = {{"type", "Digits"}, {"individual_digits", true}};
  if (words != Words::kDigitsThenGpt2) {
    first = {{"type", "Split"},
             {"pattern", {{"Regex", words == Words::kLlama3 ? kLlama3Pattern : kQwen2Pattern}}},
             {"behavior", "Isolated"},
             {"invert", false}};
  }
  const Json rest = byte_level(words == Words::kDigitsThenGpt2);
  return {{"type", "Sequence"}, {"pretokenizers", {std::move(first), rest}}};
}

WordRules rules_of(Words words) {
  return {.pre_tokenizer = pre_tokenizer(words),
          .normalizer = words == Words::kQwen2 ? Json({{"type", "NFC"}}) : Json(),
          .ignores_merges = words == Words::kLlama3,
          .adds_bos = words == Words::kLlama3};
}

// What cuts words; where they stand in the text is another matter.
nlohmann::json without_offsets(nlohmann::json cut) {
  cut.erase("trim_offsets");
  if (!cut.contains("pretokenizers")) return cut;
  for (nlohmann::json& part : cut["pretokenizers"]) part.erase("trim_offsets");
  return cut;
}

bool has_rules(const nlohmann::json& tokenizer, const WordRules& rules) {
  const nlohmann::json own = tokenizer.value("pre_tokenizer", nlohmann::json());
  const nlohmann::json normal = tokenizer.value("normalizer", nlohmann::json());
  const nlohmann::json& model = tokenizer.at("model");
  return own.is_object() && without_offsets(own) == without_offsets(rules.pre_tokenizer) &&
         normal == nlohmann::json(rules.normalizer) && model.value("type", "BPE") == "BPE" &&
         model.value("ignore_merges", false) == rules.ignores_merges;
}

}  // namespace

std::optional<WordRules> word_rules(std::string_view name) {
  const auto* const found =
      std::find_if(std::begin(kNames), std::end(kNames), [&](const Name& each) { return each.name == name; });
  if (found == std::end(kNames)) return std::nullopt;
  return rules_of(found->words);
}

std::string names_of_word_rules() {
  std::string names;
  for (const Name& each : kNames) names += (names.empty() ? "" : ", ") + std::string(each.name);
  return names;
}

Json byte_level_decoder() { return byte_level(true); }

std::optional<std::string> name_of_word_rules(const nlohmann::json& tokenizer_json) {
  const auto* const found = std::find_if(std::begin(kNames), std::end(kNames), [&](const Name& each) {
    return has_rules(tokenizer_json, rules_of(each.words));
  });
  if (found == std::end(kNames)) return std::nullopt;
  return std::string(found->name);
}

}  // namespace ddro::gguf
