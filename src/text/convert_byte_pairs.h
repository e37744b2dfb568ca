// vocab.json with merges.txt, the files that GPT-2's tokenizer and those after it had before tokenizer.json.
#pragma once

#include "ddro/gguf/model_files.h"
#include "text/tokenizer_config.h"

namespace ddro::text {

// The tokenizer.json that transformers' fast tokenizer of the two files amounts to: words are cut as the
// class of `config` does. Error(kModel) for another class and for files that are no such.
Value convert_byte_pairs(const gguf::ModelFiles& files, const TokenizerConfig& config);

}  // namespace ddro::text
