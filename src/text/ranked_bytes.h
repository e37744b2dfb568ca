// Vocabularies of bytes that are joined by the rank of what they make: tiktoken's files, and Mistral's
// tekken.json.
#pragma once

#include <filesystem>

#include "text/tokenizer_config.h"

namespace ddro::text {

// Whether the file's first line is one of tiktoken's: base64 of a token's bytes, a space, its rank.
bool is_tiktoken(const std::filesystem::path& file);

// The tokenizer.json that transformers' fast tokenizer of a tiktoken file amounts to: words cut as Llama 3's,
// a rank is an id, behind them the config's additional special tokens. Error(kModel) for what is no such
// file.
Value convert_tiktoken(const std::filesystem::path& file, const TokenizerConfig& config);

// The tokenizer.json that a tekken.json amounts to: the control tokens have the first ids, the ranks follow
// them. Error(kModel) for what is no such file.
Value convert_tekken(const std::filesystem::path& file);

}  // namespace ddro::text
