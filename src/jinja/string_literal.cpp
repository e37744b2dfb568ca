#include "jinja/string_literal.h"

#include <algorithm>
#include <cstdio>

#include "ddro/base/utf8.h"

namespace ddro::jinja {
namespace {

constexpr std::string_view kSimpleNames = "\\'\"abfnrtv";
constexpr std::string_view kSimpleValues = "\\'\"\a\b\f\n\r\t\v";

int digit_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return 16;
}

// Reads up to `most` digits of `base` at `offset`.
char32_t read_digits(std::string_view text, size_t& offset, size_t most, int base, size_t& count) {
  char32_t value = 0;
  for (count = 0; count < most && offset < text.size() && digit_value(text[offset]) < base;
       ++count, ++offset) {
    value = value * static_cast<char32_t>(base) + static_cast<char32_t>(digit_value(text[offset]));
  }
  return value;
}

bool append_code_point(char32_t c, std::string& out, std::string& problem) {
  if (c > 0x10FFFF || (c >= 0xD800 && c < 0xE000)) {
    problem = "a string has an escape that is no Unicode character";
    return false;
  }
  append_utf8(out, c);
  return true;
}

// A backslash in front of a character outside ASCII: jinja2 first turns the character into an escape, whose
// backslash then pairs with the one in front.
void append_escaped_name(std::string_view literal, size_t& offset, std::string& out) {
  const char32_t c = next_code_point(literal, offset);
  char buffer[16];
  const char* format = c < 0x100 ? "\\x%02x" : c < 0x10000 ? "\\u%04x" : "\\U%08x";
  std::snprintf(buffer, sizeof buffer, format, static_cast<unsigned>(c));
  out += buffer;
}

// The escape whose letter is at `offset`.
bool unescape_one(std::string_view literal, size_t& offset, std::string& out, std::string& problem) {
  const char letter = literal[offset];
  if (const size_t simple = kSimpleNames.find(letter); simple != std::string_view::npos) {
    out += kSimpleValues[simple];
    ++offset;
    return true;
  }
  size_t count = 0;
  if (letter >= '0' && letter <= '7') {
    return append_code_point(read_digits(literal, offset, 3, 8, count), out, problem);
  }
  if (letter == 'x' || letter == 'u' || letter == 'U') {
    const size_t wanted = letter == 'x' ? 2 : letter == 'u' ? 4 : 8;
    const char32_t c = read_digits(literal, ++offset, wanted, 16, count);
    if (count == wanted) return append_code_point(c, out, problem);
    problem = std::string("a string has a truncated \\") + letter + " escape";
    return false;
  }
  if (letter == 'N') {
    problem = "the escape \\N{...} in a string is not supported";
    return false;
  }
  if (letter == '\n') {
    ++offset;
    return true;
  }
  if (static_cast<unsigned char>(letter) >= 0x80) {
    append_escaped_name(literal, offset, out);
    return true;
  }
  out += {'\\', letter};
  ++offset;
  return true;
}

}  // namespace

bool unescape(std::string_view literal, std::string& out, std::string& problem) {
  for (size_t offset = 0; offset < literal.size();) {
    const size_t backslash = std::min(literal.find('\\', offset), literal.size());
    out += literal.substr(offset, backslash - offset);
    if (backslash == literal.size()) break;
    offset = backslash + 1;
    if (!unescape_one(literal, offset, out, problem)) return false;
  }
  return true;
}

}  // namespace ddro::jinja
