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
  // ByteLevel, ByteFallback, Fuse, Metaspace, Replace, Strip, Sequence. Error(kModel) for anything else.
  explicit Decoder(const Component& component);

  std::string decode(std::vector<std::string> tokens) const;

 private:
  using Tokens = std::vector<std::string>;
  void add(const Component& component);
  std::vector<std::function<void(Tokens&)>> steps_;
  std::string separator_ = " ";
};

}  // namespace ddro::text
