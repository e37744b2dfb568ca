// The pre-tokenizer of a tokenizer.json: cuts normalized text into the pieces that the model sees one by one.
#pragma once

#include <functional>
#include <vector>

#include "text/aligned_text.h"
#include "text/component.h"
#include "text/regex.h"

namespace ddro::text {

struct Pieces {
  AlignedText text;
  std::vector<Span> spans;  // of text, in order; bytes outside of them are dropped

  // What steps write into, kept so that one text after the other needs no new memory.
  std::vector<Span> next_spans = {};
  std::vector<Span> parts = {};
};

class PreTokenizer {
 public:
  PreTokenizer() = default;  // one piece
  // Any that tokenizers 0.22 has: BertPreTokenizer, ByteLevel, CharDelimiterSplit, Digits, FixedLength,
  // Metaspace, Punctuation, Split, UnicodeScripts, Whitespace, WhitespaceSplit, Sequence. Error(kModel) for
  // anything else. `leaves_bytes`: see ends_in_bytes.
  PreTokenizer(const Component& component, bool leaves_bytes);

  void apply(Pieces& pieces) const;
  // True when the last step writes bytes as characters of the byte alphabet and `leaves_bytes`: `apply`
  // leaves that to the model, which then takes bytes.
  bool ends_in_bytes() const { return ends_in_bytes_; }

 private:
  using Step = std::function<void(Pieces&)>;
  void add(const Component& component, bool leaves_bytes);
  void add_byte_level(const Component& component, bool leaves_bytes);
  void add_character_cuts(const Component& component, const std::string& type);
  void add_fixed_length(const Component& component);
  template <typename Predicate>
  void add_cut(const Predicate& is_match, SplitBehavior behavior);
  void add_split(const Component& component);
  void add_metaspace(const Component& component);

  std::vector<Step> steps_;
  bool ends_in_bytes_ = false;
};

}  // namespace ddro::text
