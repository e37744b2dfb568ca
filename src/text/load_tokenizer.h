// A folder's tokenizer with what its files say beside the tokenizer itself.
#pragma once

#include <memory>
#include <string>

#include "ddro/base/json.h"
#include "ddro/gguf/model_files.h"
#include "ddro/text/tokenizer.h"

namespace ddro::text {

struct LoadedTokenizer {
  std::unique_ptr<Tokenizer> tokenizer;
  Json named_tokens;  // bos_token, eos_token, ...: text, or a list of texts
  std::string hash;   // of everything that decides which ids a text gets, and of the named tokens
  std::string kind;   // where it comes from and what it is
};

// Errors as load_tokenizer's.
LoadedTokenizer load_tokenizer_folder(const gguf::ModelFiles& files);

}  // namespace ddro::text
