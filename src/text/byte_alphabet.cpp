#include "text/byte_alphabet.h"

#include <array>
#include <cstdio>

#include "ddro/base/utf8.h"

namespace ddro::text {
namespace {

constexpr char32_t kAlphabetEnd = 0x144;  // 0x100 + the 68 bytes that are not printable

struct Alphabet {
  std::array<std::string, 256> characters;
  std::array<int, kAlphabetEnd> bytes;
  Alphabet() {
    bytes.fill(-1);
    char32_t next = 0x100;
    for (int byte = 0; byte < 256; ++byte) {
      const bool printable = (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte != 0xAD);
      const char32_t character = printable ? static_cast<char32_t>(byte) : next++;
      append_utf8(characters[static_cast<size_t>(byte)], character);
      bytes[character] = byte;
    }
  }
};

const Alphabet& alphabet() {
  static const Alphabet instance;
  return instance;
}

}  // namespace

const std::string& byte_character(unsigned char byte) { return alphabet().characters[byte]; }

std::string byte_characters(std::string_view bytes) {
  std::string characters;
  for (const char byte : bytes) characters += byte_character(static_cast<unsigned char>(byte));
  return characters;
}

std::optional<std::string> bytes_behind(std::string_view text) {
  const Alphabet& known = alphabet();
  std::string result;
  for (size_t offset = 0; offset < text.size();) {
    const char32_t character = next_code_point(text, offset);
    if (character >= kAlphabetEnd || known.bytes[character] < 0) return std::nullopt;
    result.push_back(static_cast<char>(known.bytes[character]));
  }
  return result;
}

int byte_fallback_value(std::string_view token) {
  if (token.size() != 6 || token.substr(0, 3) != "<0x" || token[5] != '>') return -1;
  int value = 0;
  for (const char digit : token.substr(3, 2)) {
    const char* const digits = "0123456789ABCDEF";
    const char upper = digit >= 'a' && digit <= 'f' ? static_cast<char>(digit - 'a' + 'A') : digit;
    const size_t place = std::string_view(digits).find(upper);
    if (place == std::string_view::npos) return -1;
    value = value * 16 + static_cast<int>(place);
  }
  return value;
}

std::string byte_fallback_token(unsigned char byte) {
  char token[8];
  std::snprintf(token, sizeof token, "<0x%02X>", byte);
  return token;
}

}  // namespace ddro::text
