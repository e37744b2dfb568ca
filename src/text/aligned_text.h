// Text that knows which bytes of the input each of its bytes came from.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "ddro/text/tokenizer.h"

namespace ddro::text {

// A part of the input, unchanged or rewritten. While unchanged it only views the input, which must outlive
// it; each byte then came from its whole character.
class AlignedText {
 public:
  AlignedText() = default;
  // `source` begins at byte `base` of the input. `continues`: it goes on with a text that was cut, so that
  // nothing is put in front of it.
  AlignedText(std::string_view source, size_t base, bool continues = false)
      : source_(source), base_(base), continues_(continues) {}

  // Where the input is only viewed, its byte that text() begins with.
  size_t base() const { return base_; }
  bool changed() const { return changed_; }
  bool continues() const { return continues_; }
  std::string_view text() const { return changed_ ? std::string_view(text_) : source_; }
  // Bytes of the input behind `range` of text(); `range` must not be empty.
  Span origin(Span range) const;
  AlignedText slice(Span range) const;

 private:
  friend class Rewriter;
  struct Origin {
    std::uint32_t begin;
    std::uint32_t end;
  };
  Origin origin_at(size_t index) const;

  std::string_view source_;
  size_t base_ = 0;
  bool continues_ = false;
  bool changed_ = false;
  std::string text_;
  std::vector<Origin> origins_;  // one a byte of text_
};

// Reads a text from front to back and writes its successor.
class Rewriter {
 public:
  explicit Rewriter(const AlignedText& from);

  size_t position() const { return position_; }
  void keep(size_t bytes);                         // copies the next bytes
  void skip(size_t bytes) { position_ += bytes; }  // drops them
  void replace(size_t bytes,
               std::string_view with);  // `with` stands for all of the next bytes (at least one)
  void insert(std::string_view text);   // stands for what was read last, or for nothing at the start
  AlignedText finish();                 // the rest is kept

 private:
  void append(std::string_view text, AlignedText::Origin origin);

  const AlignedText& from_;
  AlignedText to_;
  size_t position_ = 0;
};

// Puts `prefix` in front of a text that is not empty and does not continue another; it stands for the first
// character.
void prepend(std::string_view prefix, AlignedText& text);

// Bytes of the character that begins with `lead`, in valid UTF-8.
inline size_t utf8_length(char lead) {
  const auto byte = static_cast<unsigned char>(lead);
  return byte < 0x80 ? 1 : byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4;
}

inline bool is_utf8_continuation(char byte) { return (static_cast<unsigned char>(byte) & 0xC0) == 0x80; }

// `bytes` as valid UTF-8: each longest invalid prefix of a character becomes one U+FFFD.
std::string valid_utf8(std::string_view bytes);

}  // namespace ddro::text
