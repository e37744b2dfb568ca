// How tokenizers of bytes cut text into words: llama.cpp has a name for each way (tokenizer.ggml.pre).
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "ddro/base/json.h"

namespace ddro::gguf {

// What a tokenizer.json says of it, as those of the models that the name is of.
struct WordRules {
  Json pre_tokenizer;
  Json normalizer;
  bool ignores_merges = false;  // a word that is a token is that token
  bool adds_bos = false;        // where the file does not say
};

// Nothing for names that are not known; names_of_word_rules has those that are, for messages.
std::optional<WordRules> word_rules(std::string_view name);
std::string names_of_word_rules();

// The decoder of all of them.
Json byte_level_decoder();

// The name of what a tokenizer.json does; nothing where there is none.
std::optional<std::string> name_of_word_rules(const nlohmann::json& tokenizer_json);

}  // namespace ddro::gguf
