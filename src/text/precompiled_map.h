// The rules by which sentencepiece rewrites characters, as its models carry them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "text/aligned_text.h"
#include "text/component.h"

namespace ddro::text {

// A double-array trie of what is replaced, whose values are places in a list of what replaces it.
class PrecompiledMap {
 public:
  // Reads `precompiled_charsmap` (base64 of: bytes of the trie, the trie, texts that end in a zero byte), all
  // little-endian. Error(kModel) for what is none.
  explicit PrecompiledMap(const Component& component);

  // As the tokenizers do it: a grapheme of up to five bytes is replaced as a whole by what the shortest rule
  // that it begins with says, every other character by itself.
  void apply(AlignedText& text) const;

 private:
  // What the shortest rule that `text` begins with puts in its place; null if there is none.
  const char* replacement(std::string_view text) const;
  void apply_to_grapheme(std::string_view grapheme, Rewriter& rewriter) const;
  std::uint32_t unit(std::uint32_t node) const;

  std::string place_;
  std::vector<std::uint32_t> trie_;
  std::string texts_;
};

}  // namespace ddro::text
