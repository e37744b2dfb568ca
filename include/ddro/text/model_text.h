// Everything of a model folder that has to do with text: tokenizer, chat template, end tokens.
#pragma once

#include <ctime>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "ddro/base/json.h"
#include "ddro/text/chat_template.h"
#include "ddro/text/tokenizer.h"

namespace ddro::text {

struct ModelText {
  std::unique_ptr<Tokenizer> tokenizer;
  std::unique_ptr<ChatTemplate> chat_template;  // null: message lists cannot be used
  std::vector<TokenId> end_ids;                 // never empty; the first one ends a finished string
  Json template_variables;                      // bos_token, eos_token, ... from tokenizer_config.json
  std::string tokenizer_hash;                   // of the tokenizer files' bytes
  std::string template_hash;                    // of the template's source; empty without one
};

// `chat_template_file`: overrides the folder's template (a path to Jinja source), or nullopt. End tokens are
// eos_token_id of generation_config.json, else of config.json, else the tokenizer's eos_token; disagreement
// is one warning.
ModelText load_model_text(const std::filesystem::path& model_folder,
                          const std::optional<std::string>& chat_template_file);

}  // namespace ddro::text
