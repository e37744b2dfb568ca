// Which tokens end a text.
#pragma once

#include <filesystem>
#include <vector>

#include "ddro/base/json.h"
#include "ddro/text/tokenizer.h"

namespace ddro::text {

// tokenizer_config.json's named tokens (bos_token, eos_token, unk_token, pad_token, ...) as strings, null for
// those that are null; special_tokens_map.json gives what it lacks. An empty object if the folder has neither
// file.
Json read_named_tokens(const std::filesystem::path& model_folder);

// eos_token_id (a number or a list) of generation_config.json, else of config.json, else the id of
// `eos_token`. Warns once if two of them that are given disagree. Error(kModel): none is given, or one has no
// token.
std::vector<TokenId> read_end_ids(const std::filesystem::path& model_folder, const Tokenizer& tokenizer,
                                  const Json& named_tokens);

}  // namespace ddro::text
