// What a folder with a tokenizer.model says about its tokenizer, read as transformers' slow LlamaTokenizer
// reads it.
#pragma once

#include <filesystem>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "text/added_tokens.h"

namespace ddro::text {

struct SentencePieceSettings {
  bool legacy = true;  // a dummy prefix in front of each part between added tokens, not of the text alone
  bool add_prefix_space = true;
  bool add_bos_token = true;
  bool add_eos_token = false;
  std::string bos = "<s>";
  std::string eos = "</s>";
  std::string unk = "<unk>";
  std::vector<AddedToken> added;  // those that have an id, by id
  std::vector<AddedToken> named;  // bos, eos, ... without an id of their own there, in the order they get one
  std::set<std::string> special;  // bos, eos, ..., additional special tokens: what decoding may skip
  std::set<std::string> additional;
};

// Reads tokenizer_config.json, special_tokens_map.json and added_tokens.json. Error(kModel): another
// tokenizer class, or a broken entry.
SentencePieceSettings read_sentencepiece_settings(const std::filesystem::path& model_folder);

// Byte changes to a serialized sentencepiece model: no dummy prefix if `drop_dummy_prefix`, and each
// user-defined piece for which `is_control` holds becomes a control piece, which the library does not look
// for in text. Error(kModel) naming `place` if the bytes are no such model.
std::string adapt_sentencepiece_model(const std::string& model, bool drop_dummy_prefix,
                                      const std::function<bool(const std::string&)>& is_control,
                                      const std::string& place);

}  // namespace ddro::text
