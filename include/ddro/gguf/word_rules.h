// How tokenizers of bytes cut text into words, which GGUF files say by a name.
#pragma once

#include <optional>
#include <string>

#include "ddro/base/json.h"

namespace ddro::gguf {

// tokenizer.ggml.pre of a tokenizer.json that treats text as those of that name do; nothing for others.
std::optional<std::string> name_of_word_rules(const nlohmann::json& tokenizer_json);

}  // namespace ddro::gguf
