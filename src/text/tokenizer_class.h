// What the tokenizer classes of transformers add to a tokenizer's files.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "text/component.h"

namespace ddro::text {

enum class PostProcessing {
  kFile,       // tokenizer.json's
  kConfig,     // made anew of add_bos_token and add_eos_token
  kWhenAsked,  // made anew if one of them is given
};

struct TokenizerClass {
  std::string_view name = "PreTrainedTokenizer";  // without "Fast"
  PostProcessing post_processing = PostProcessing::kFile;
  bool add_bos = false;                                                // where add_bos_token is absent
  std::vector<std::pair<std::string_view, std::string_view>> named{};  // tokens where the files name none
  std::vector<std::pair<std::string_view, std::string_view>> additional{};
  bool flags_named = false;       // a token named by its text alone is special and not normalized
  bool sets_prefix_space = true;  // of a ByteLevel pre-tokenizer, to add_prefix_space or else false
  bool reaches_inside = false;    // also of those within a sequence, where it is true
};

// The class of a folder: tokenizer_config.json's tokenizer_class, else config.json's, else that of its
// model_type; Llama's where none is named and there is only a tokenizer.model; a general one for all others.
const TokenizerClass& find_tokenizer_class(const Component& tokenizer_config, const gguf::ModelFiles& files);

}  // namespace ddro::text
