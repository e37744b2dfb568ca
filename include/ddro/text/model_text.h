// Everything of a model folder that has to do with text: tokenizer, chat template, end tokens.
#pragma once

#include <ctime>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "ddro/base/json.h"
#include "ddro/gguf/model_files.h"
#include "ddro/text/chat_template.h"
#include "ddro/text/tokenizer.h"

namespace ddro::text {

struct ModelText {
  std::unique_ptr<Tokenizer> tokenizer;
  std::unique_ptr<ChatTemplate> chat_template;  // null: message lists cannot be used
  std::vector<TokenId> end_ids;                 // never empty; the first one ends a finished string
  Json template_variables;     // what transformers passes to a template: bos_token, eos_token, ...
  std::string tokenizer_hash;  // of what decides which ids a text gets, from whichever file it comes
  std::string tokenizer_kind;  // where it comes from and what it is: "tokenizer.json (BPE)"
  std::string template_hash;   // of the templates' sources; empty without one

  // What a folder written for this model must say otherwise than the folder it was read from; null where they
  // agree. The template: chat_template's source, when it came from elsewhere. The end token: eos_token of
  // tokenizer_config.json (and special_tokens_map.json), eos_token_id of generation_config.json and
  // config.json: end_ids.
  std::optional<std::string> new_chat_template;
  std::optional<std::string> new_eos_token;
};

// Whether a model has a file that a tokenizer can be read from.
bool has_tokenizer(const gguf::ModelFiles& files);

// `chat_template_file`: overrides the folder's template (a path to Jinja source), or nullopt. `eos_token`:
// overrides the end token of a turn; it becomes the first of end_ids, before the folder's, and the template's
// eos_token. The folder's end tokens are eos_token_id of generation_config.json, else of config.json, else
// the tokenizer's eos_token; where a later one names others, one warning. Error(kInput) for an eos_token that
// is not one token; Error(kModel) if there is no end token at all. `base_folder`: of an adapter's folder,
// stands in for it where it has no tokenizer, and where it does not say which ids end a turn.
ModelText load_model_text(const std::filesystem::path& model_folder,
                          const std::optional<std::string>& chat_template_file,
                          const std::optional<std::string>& eos_token = std::nullopt,
                          const std::optional<std::filesystem::path>& base_folder = std::nullopt);

}  // namespace ddro::text
