// Which tokens end a text.
#pragma once

#include <vector>

#include "ddro/base/json.h"
#include "ddro/gguf/model_files.h"
#include "ddro/text/tokenizer.h"

namespace ddro::text {

// eos_token_id (a number or a list) of generation_config.json, else of config.json, else the id of
// `eos_token`. Warns once if two of them that are given disagree. Empty if none is given; Error(kModel) for
// one that has no token.
std::vector<TokenId> read_end_ids(const gguf::ModelFiles& files, const Tokenizer& tokenizer,
                                  const Json& named_tokens);

// The id of the end token that model.eos_token names. Error(kInput) unless `text` is one token wherever it
// stands.
TokenId find_end_id(const std::string& text, const Tokenizer& tokenizer);

}  // namespace ddro::text
