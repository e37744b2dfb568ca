#include "text/precompiled_map.h"

#include <utf8proc.h>

#include <cstring>

#include "ddro/base/utf8.h"
#include "text/base64.h"
#include "text/character_class.h"

namespace ddro::text {
namespace {

constexpr size_t kLongestGrapheme = 5;  // bytes, of those that are replaced as a whole

// A unit of the trie, as darts-clone lays it out.
bool has_leaf(std::uint32_t unit) { return (unit >> 8) & 1; }
std::uint32_t value_of(std::uint32_t unit) { return unit & 0x7FFFFFFF; }
std::uint32_t label_of(std::uint32_t unit) { return unit & 0x800000FF; }
std::uint32_t offset_of(std::uint32_t unit) { return (unit >> 10) << ((unit & 0x200) >> 6); }

// The end of the grapheme that begins at `begin`.
size_t grapheme_end(std::string_view text, size_t begin) {
  size_t end = begin;
  utf8proc_int32_t state = 0;
  auto before = static_cast<utf8proc_int32_t>(next_code_point(text, end));
  while (end < text.size()) {
    size_t next_end = end;
    const auto next = static_cast<utf8proc_int32_t>(next_code_point(text, next_end));
    if (utf8proc_grapheme_break_stateful(before, next, &state)) break;
    end = next_end;
    before = next;
  }
  return end;
}

}  // namespace

PrecompiledMap::PrecompiledMap(const Component& component) : place_(component.place()) {
  const auto bytes = decode_base64(component.text("precompiled_charsmap"));
  if (!bytes) component.refuse("precompiled_charsmap: not base64");
  std::uint32_t size = 0;
  if (bytes->size() >= sizeof size) std::memcpy(&size, bytes->data(), sizeof size);
  if (size == 0 || size % sizeof(std::uint32_t) != 0 || size > bytes->size() - sizeof size)
    component.refuse("precompiled_charsmap: no trie of the size that it names");
  trie_.resize(size / sizeof(std::uint32_t));
  std::memcpy(trie_.data(), bytes->data() + sizeof size, size);
  texts_ = bytes->substr(sizeof size + size);
  if (find_invalid_utf8(texts_) != std::string_view::npos || texts_.empty() || texts_.back() != '\0')
    component.refuse("precompiled_charsmap: its texts are cut, or not UTF-8");
}

std::uint32_t PrecompiledMap::unit(std::uint32_t node) const {
  if (node >= trie_.size())
    throw model_error("[" + place_ + "] precompiled_charsmap: its trie points outside of itself");
  return trie_[node];
}

const char* PrecompiledMap::replacement(std::string_view text) const {
  std::uint32_t node = offset_of(unit(0));
  for (const char character : text) {
    const auto byte = static_cast<unsigned char>(character);
    if (byte == 0) return nullptr;
    node ^= byte;
    const std::uint32_t reached = unit(node);
    if (label_of(reached) != byte) return nullptr;
    node ^= offset_of(reached);
    if (!has_leaf(reached)) continue;
    const std::uint32_t place = value_of(unit(node));
    if (place >= texts_.size() || is_utf8_continuation(texts_[place]))
      throw model_error("[" + place_ + "] precompiled_charsmap: a rule without a text");
    return texts_.data() + place;
  }
  return nullptr;
}

void PrecompiledMap::apply_to_grapheme(std::string_view grapheme, Rewriter& rewriter) const {
  if (grapheme.size() <= kLongestGrapheme) {
    if (const char* whole = replacement(grapheme)) {
      rewriter.replace(grapheme.size(), whole);
      return;
    }
  }
  for (size_t at = 0; at < grapheme.size();) {
    const size_t length = utf8_length(grapheme[at]);
    if (const char* one = replacement(grapheme.substr(at, length))) {
      rewriter.replace(length, one);
    } else {
      rewriter.keep(length);
    }
    at += length;
  }
}

void PrecompiledMap::apply(AlignedText& text) const {
  const std::string_view old = text.text();
  std::string storage;
  const std::string_view known = with_known_characters(old, storage);
  Rewriter rewriter(text);
  for (size_t begin = 0; begin < old.size();) {
    const size_t end = grapheme_end(known, begin);
    apply_to_grapheme(old.substr(begin, end - begin), rewriter);
    begin = end;
  }
  text = rewriter.finish();
}

}  // namespace ddro::text
