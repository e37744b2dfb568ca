// The normalizer of a tokenizer.json.
#pragma once

#include <functional>
#include <vector>

#include "text/aligned_text.h"
#include "text/component.h"

namespace ddro::text {

class Normalizer {
 public:
  Normalizer() = default;  // changes nothing
  // Any that tokenizers 0.22 has: NFC, NFD, NFKC, NFKD, Nmt, Precompiled, BertNormalizer, StripAccents,
  // Lowercase, Strip, Prepend, Replace, ByteLevel, Sequence. Error(kModel) for anything else.
  explicit Normalizer(const Component& component);

  void apply(AlignedText& text) const;

 private:
  void add(const Component& component);
  void add_bert(const Component& component);
  std::vector<std::function<void(AlignedText&)>> steps_;
};

}  // namespace ddro::text
