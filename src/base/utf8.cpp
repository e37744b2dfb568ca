#include "ddro/base/utf8.h"

#include <cstring>

namespace ddro {
namespace {

bool are_ascii(const char* eight_bytes) {
  std::uint64_t bits = 0;
  std::memcpy(&bits, eight_bytes, sizeof bits);
  return (bits & 0x8080808080808080u) == 0;
}

bool is_continuation(unsigned char byte) { return (byte & 0xC0) == 0x80; }

}  // namespace

size_t find_invalid_utf8(std::string_view text) {
  size_t i = 0;
  const size_t size = text.size();
  const auto at = [&](size_t k) { return static_cast<unsigned char>(text[k]); };
  while (i < size) {
    const unsigned char lead = at(i);
    size_t length = 0;
    unsigned char second_low = 0x80;
    unsigned char second_high = 0xBF;
    if (lead < 0x80) {
      i += 1;
      while (i + 8 <= size && are_ascii(text.data() + i)) i += 8;
      continue;
    } else if (lead >= 0xC2 && lead <= 0xDF) {
      length = 2;
    } else if (lead >= 0xE0 && lead <= 0xEF) {
      length = 3;
      if (lead == 0xE0) second_low = 0xA0;   // overlong
      if (lead == 0xED) second_high = 0x9F;  // surrogates
    } else if (lead >= 0xF0 && lead <= 0xF4) {
      length = 4;
      if (lead == 0xF0) second_low = 0x90;   // overlong
      if (lead == 0xF4) second_high = 0x8F;  // above U+10FFFF
    } else {
      return i;
    }
    if (i + length > size || at(i + 1) < second_low || at(i + 1) > second_high) return i;
    for (size_t k = 2; k < length; ++k) {
      if (!is_continuation(at(i + k))) return i;
    }
    i += length;
  }
  return std::string_view::npos;
}

char32_t next_code_point(std::string_view text, size_t& offset) {
  const auto at = [&](size_t k) { return static_cast<char32_t>(static_cast<unsigned char>(text[k])); };
  const char32_t lead = at(offset);
  if (lead < 0x80) {
    offset += 1;
    return lead;
  }
  const size_t length = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  char32_t code_point = lead & (0x7Fu >> length);
  for (size_t k = 1; k < length; ++k) code_point = (code_point << 6) | (at(offset + k) & 0x3F);
  offset += length;
  return code_point;
}

void append_utf8(std::string& out, char32_t c) {
  const auto put = [&](char32_t byte) { out.push_back(static_cast<char>(byte)); };
  if (c < 0x80) {
    put(c);
  } else if (c < 0x800) {
    put(0xC0 | (c >> 6));
    put(0x80 | (c & 0x3F));
  } else if (c < 0x10000) {
    put(0xE0 | (c >> 12));
    put(0x80 | ((c >> 6) & 0x3F));
    put(0x80 | (c & 0x3F));
  } else {
    put(0xF0 | (c >> 18));
    put(0x80 | ((c >> 12) & 0x3F));
    put(0x80 | ((c >> 6) & 0x3F));
    put(0x80 | (c & 0x3F));
  }
}

}  // namespace ddro
