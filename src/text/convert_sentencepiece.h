// A tokenizer.model as the tokenizer.json that transformers' fast tokenizers make of it.
#pragma once

#include "text/component.h"
#include "text/sentencepiece_model.h"
#include "text/tokenizer_config.h"

namespace ddro::text {

// Llama's and Gemma's conversion. Pieces become the vocabulary, and every way to cut a BPE piece in two a
// merge, by score; control and user-defined pieces become added tokens. Llama's puts a space in front of each
// part between added tokens, or of the text alone if the config is not `legacy`, unless `prefix_space` is
// false; InternLM 2's does where the model itself does. Error(kModel) for another tokenizer class.
Value convert_sentencepiece(const SentencePieceModel& model, const TokenizerConfig& config);

}  // namespace ddro::text
