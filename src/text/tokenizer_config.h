// What the files beside a tokenizer say about its tokens: tokenizer_config.json, special_tokens_map.json and
// added_tokens.json, read as transformers' AutoTokenizer reads them.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "ddro/base/json.h"
#include "text/added_tokens.h"
#include "text/tokenizer_class.h"

namespace ddro::text {

// A token with a role (bos_token, ...); several may be additional_special_tokens.
struct NamedToken {
  std::string name;
  AddedToken token;
  bool has_flags = false;   // false: named by its text alone
  bool is_default = false;  // the class's; the files name none
};

struct TokenizerConfig {
  const TokenizerClass* tokenizer_class = nullptr;
  std::string place;                    // for messages
  std::map<TokenId, AddedToken> added;  // by the ids that the files give them
  bool lists_added = false;             // tokenizer_config.json has them (added_tokens_decoder)
  std::vector<NamedToken> named;        // those of one name together, none empty
  bool makes_post_processor = false;    // of the two flags below; else the tokenizer's own is used
  bool add_bos = false;
  bool add_eos = false;
  bool legacy = true;                     // of a sentencepiece model; see convert_sentencepiece.h
  bool prefix_space = true;               // likewise
  bool prefers_sentencepiece = false;     // tokenizer.model counts, not tokenizer.json
  std::optional<bool> byte_level_prefix;  // what a ByteLevel pre-tokenizer's add_prefix_space is set to

  // The text of the token of that name; empty if there is none.
  std::string text_of(std::string_view name) const;
  // Name -> text, or a list of texts; what transformers passes to chat templates.
  Json named_texts() const;
};

// Error(kModel) for a broken entry, which it names.
TokenizerConfig read_tokenizer_config(const gguf::ModelFiles& files);

// What is added to the tokens of a tokenizer's file, in the order in which they are: those listed, by id,
// then named ones. `present` are the file's own, with its ids; `of_json`: the file is a tokenizer.json, whose
// tokens count among those of older folders.
std::vector<AddedToken> tokens_to_add(const TokenizerConfig& config, const std::vector<AddedToken>& present,
                                      bool of_json);

// A token of a JSON object: content, and its flags where it has them. Other fields are not looked at.
AddedToken read_added_token(const Component& entry);

}  // namespace ddro::text
