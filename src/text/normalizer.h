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
  // NFC, NFD, NFKC, NFKD, Lowercase, Strip, Prepend, Replace, Sequence. Error(kModel) for anything else.
  explicit Normalizer(const Component& component);

  void apply(AlignedText& text) const;

 private:
  void add(const Component& component);
  std::vector<std::function<void(AlignedText&)>> steps_;
};

}  // namespace ddro::text
