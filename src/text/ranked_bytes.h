// Vocabularies of bytes that are joined by the rank of what they make: tiktoken's files, and Mistral's
// tekken.json.
#pragma once

#include <string_view>

#include "ddro/gguf/model_files.h"
#include "text/tokenizer_config.h"

namespace ddro::text {

// Whether a file's first line is one of tiktoken's: base64 of a token's bytes, a space, its rank.
bool is_tiktoken(std::string_view content);

// The tokenizer.json that transformers' fast tokenizer of a tiktoken file, tokenizer.model, amounts to: words
// cut as Llama 3's, a rank is an id, behind them the config's additional special tokens. Error(kModel) for
// what is no such file.
Value convert_tiktoken(const gguf::ModelFiles& files, const TokenizerConfig& config);

// The tokenizer.json that the model's tekken.json amounts to: the control tokens have the first ids, the
// ranks follow them. Error(kModel) for what is no such file.
Value convert_tekken(const gguf::ModelFiles& files);

}  // namespace ddro::text
