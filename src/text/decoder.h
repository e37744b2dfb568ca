// The decoder of a tokenizer.json: token strings back to text.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "text/component.h"

namespace ddro::text {

class Decoder {
 public:
  Decoder() = default;  // tokens with a space between them
  // Any that tokenizers 0.22 has: BPEDecoder, ByteFallback, ByteLevel, CTC, Fuse, Metaspace, Replace, Strip,
  // WordPiece, Sequence. Error(kModel) for anything else.
  explicit Decoder(const Component& component);

  std::string decode(std::vector<std::string> tokens) const;

 private:
  using Tokens = std::vector<std::string>;
  void add(const Component& component);
  std::vector<std::function<void(Tokens&)>> steps_;
  std::string separator_ = " ";
};

}  // namespace ddro::text
