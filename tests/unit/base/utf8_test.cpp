#include "ddro/base/utf8.h"

#include <gmock/gmock.h>

#include <optional>

namespace ddro {
namespace {

constexpr size_t kValid = std::string_view::npos;

// The definition, read slowly: the length from the first byte's leading ones, then the value, then its
// bounds.
std::optional<char32_t> decode_slowly(std::string_view bytes) {
  const auto byte = [&](size_t i) { return static_cast<unsigned>(static_cast<unsigned char>(bytes[i])); };
  size_t ones = 0;
  while (ones < 8 && (byte(0) >> (7 - ones)) % 2 == 1) ++ones;
  if (ones == 1 || ones > 4) return std::nullopt;
  const size_t length = ones == 0 ? 1 : ones;
  if (bytes.size() != length) return std::nullopt;
  if (length == 1) return byte(0);
  char32_t value = byte(0) % (1u << (7 - ones));
  for (size_t i = 1; i < length; ++i) {
    if (byte(i) / 64 != 2) return std::nullopt;
    value = value * 64 + byte(i) % 64;
  }
  const char32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
  if (value < least[length] || value > 0x10FFFF || (value >= 0xD800 && value <= 0xDFFF)) return std::nullopt;
  return value;
}

TEST(Utf8, RoundTripsEveryCodePoint) {
  for (char32_t c = 0; c <= 0x10FFFF; ++c) {
    if (c >= 0xD800 && c <= 0xDFFF) continue;
    std::string text;
    append_utf8(text, c);
    ASSERT_EQ(decode_slowly(text), c);
    ASSERT_EQ(find_invalid_utf8(text), kValid);
    size_t offset = 0;
    ASSERT_EQ(next_code_point(text, offset), c);
    ASSERT_EQ(offset, text.size());
  }
}

bool is_sequence_of_characters(std::string_view bytes) {
  if (bytes.empty()) return true;
  for (size_t length = 1; length <= bytes.size(); ++length) {
    if (decode_slowly(bytes.substr(0, length)) && is_sequence_of_characters(bytes.substr(length)))
      return true;
  }
  return false;
}

TEST(Utf8, AgreesWithTheDefinitionOnAllShortByteStrings) {
  std::string bytes;
  for (unsigned a = 0; a < 256; ++a) {
    bytes.assign(1, static_cast<char>(a));
    ASSERT_EQ(find_invalid_utf8(bytes) == kValid, is_sequence_of_characters(bytes));
    for (unsigned b = 0; b < 256; ++b) {
      bytes.assign({static_cast<char>(a), static_cast<char>(b)});
      ASSERT_EQ(find_invalid_utf8(bytes) == kValid, is_sequence_of_characters(bytes)) << a << " " << b;
    }
  }
  // Three and four bytes: every first two, the others at each boundary.
  const unsigned edges[] = {0x00, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xE0, 0xF0, 0xFF};
  for (unsigned a = 0xC0; a < 256; ++a) {
    for (unsigned b = 0; b < 256; ++b) {
      for (const unsigned c : edges) {
        bytes.assign({static_cast<char>(a), static_cast<char>(b), static_cast<char>(c)});
        ASSERT_EQ(find_invalid_utf8(bytes) == kValid, is_sequence_of_characters(bytes));
        for (const unsigned d : edges) {
          bytes.assign(
              {static_cast<char>(a), static_cast<char>(b), static_cast<char>(c), static_cast<char>(d)});
          ASSERT_EQ(find_invalid_utf8(bytes) == kValid, is_sequence_of_characters(bytes));
        }
      }
    }
  }
}

TEST(Utf8, FindsTheFirstBadByte) {
  EXPECT_EQ(find_invalid_utf8(""), kValid);
  EXPECT_EQ(find_invalid_utf8("abc\xff"), 3u);
  EXPECT_EQ(find_invalid_utf8("\u00e9\xc3"), 2u);
  EXPECT_EQ(find_invalid_utf8("a\xed\xa0\x80"), 1u);
}

}  // namespace
}  // namespace ddro
