#include "ddro/base/error.h"

#include <charconv>
#include <cmath>
#include <cstdio>

#include "ddro/base/utf8.h"

namespace ddro {

std::string printable(const std::string& text, size_t max_bytes) {
  std::string out;
  size_t offset = 0;
  while (offset < text.size()) {
    if (out.size() >= max_bytes) return out + "...";
    const auto byte = static_cast<unsigned char>(text[offset]);
    size_t length = 1;
    if (byte >= 0x80) {
      // The longest prefix that could be one code point is four bytes.
      const std::string_view rest = std::string_view(text).substr(offset, 4);
      const size_t invalid = find_invalid_utf8(rest);
      size_t next = 0;
      if (invalid != 0) next_code_point(rest, next);
      length = next;
    }
    const bool c1_control =
        length == 2 && byte == 0xC2 && static_cast<unsigned char>(text[offset + 1]) < 0xA0;
    if (length == 0 || byte < 0x20 || byte == 0x7F || c1_control) {
      char escaped[5];
      std::snprintf(escaped, sizeof escaped, "\\x%02X", byte);
      out += byte == '\n' ? "\\n" : byte == '\t' ? "\\t" : escaped;
      offset += 1;
    } else {
      out.append(text, offset, length);
      offset += length;
    }
  }
  return out;
}

std::string printable(double number) {
  if (std::isnan(number)) return "nan";  // of either sign
  char text[32];
  std::string shortest(text, std::to_chars(text, text + sizeof text, number).ptr);
  // "1e-06" to "1e-6"
  const size_t exponent = shortest.find('e');
  if (exponent != std::string::npos && shortest[exponent + 2] == '0') shortest.erase(exponent + 2, 1);
  return shortest;
}

std::string printable(double number, const char* format) {
  if (std::isnan(number)) return "nan";
  char text[64];
  std::snprintf(text, sizeof text, format, number);
  return text;
}

Error option_error(const std::string& key, const std::string& got, const std::string& expected) {
  return input_error("[" + key + "] is out of range; got " + got + ", expected " + expected);
}

void check_failed(const char* expression, const char* file, int line, const std::string& message) {
  throw Error(ErrorKind::kInternal, std::string("[internal] ") + file + ":" + std::to_string(line) +
                                        ": check failed: " + expression + "; " + message);
}

}  // namespace ddro
