// Tokenizers of GGUF files as the files of a Hugging Face folder.
#pragma once

#include <string>

#include "gguf/architectures.h"

namespace ddro::gguf {

// Whether the tokenizer is a sentencepiece model; else it is BPE over bytes.
bool has_sentencepiece(const GgufFile& file);

// Error(kModel) for a tokenizer that is of neither kind, broken, or whose way to cut text into words is not
// known.
Json tokenizer_json(const GgufFile& file);
Json tokenizer_config(const GgufFile& file, const Architecture& architecture);

// The bytes of a tokenizer.model with the file's pieces.
std::string sentencepiece_model(const GgufFile& file);

// What both kinds have: texts by id, and what they are.
enum class TokenKind { kNormal = 1, kUnknown = 2, kControl = 3, kUserDefined = 4, kUnused = 5, kByte = 6 };
struct Vocabulary {
  std::vector<std::string> tokens;
  std::vector<TokenKind> kinds;
};
Vocabulary read_vocabulary(const GgufFile& file);

[[noreturn]] void refuse_tokenizer(const GgufFile& file, const std::string& what);

}  // namespace ddro::gguf
