// A sentencepiece model file, as far as its pieces go.
#pragma once

#include <string>
#include <vector>

#include "ddro/gguf/model_files.h"

namespace ddro::text {

struct SentencePieceModel {
  enum class Type { kNormal = 1, kUnknown = 2, kControl = 3, kUserDefined = 4, kUnused = 5, kByte = 6 };
  struct Piece {
    std::string text;
    float score = 0;
    Type type = Type::kNormal;
  };
  std::vector<Piece> pieces;  // by id
  bool is_bpe = false;        // else unigram
  std::string unknown = "<unk>";
  bool adds_space = true;  // in front of a text (add_dummy_prefix)
};

// The model's tokenizer.model. Error(kModel) for a file that is none, or whose model is of words or
// characters.
SentencePieceModel read_sentencepiece_model(const gguf::ModelFiles& files);

}  // namespace ddro::text
