#include "jinja/number_parse.h"

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <string>

#include "jinja/integers.h"
#include "jinja/limits.h"
#include "jinja/unicode.h"

namespace ddro::jinja {
namespace {

std::string_view trimmed(std::string_view text) {
  const std::string_view rest = text.substr(0, strip_end(text));
  return rest.substr(std::min(strip_begin(rest), rest.size()));
}

// Removes underscores that stand between digits; false for any other.
template <class IsDigit>
bool remove_underscores(std::string& text, IsDigit is_one) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '_') {
      out += text[i];
    } else if (i == 0 || i + 1 == text.size() || !is_one(text[i - 1]) || !is_one(text[i + 1])) {
      return false;
    }
  }
  text = std::move(out);
  return true;
}

bool is_ascii_digit(char c) { return c >= '0' && c <= '9'; }

}  // namespace

std::optional<Value> parse_integer(Machine& machine, std::string_view text, int base) {
  std::string digits(trimmed(text));
  const bool negative = digits.starts_with('-');
  if (negative || digits.starts_with('+')) digits.erase(0, 1);
  const std::string_view prefix = base == 16 ? "0x" : base == 8 ? "0o" : base == 2 ? "0b" : "";
  if (!prefix.empty() && digits.size() > 2 && digits[0] == '0' &&
      std::tolower(static_cast<unsigned char>(digits[1])) == prefix[1]) {
    digits.erase(0, digits[2] == '_' ? 3 : 2);
  }
  const auto is_one = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0; };
  if (digits.empty() || !is_one(digits[0]) || !remove_underscores(digits, is_one)) return std::nullopt;
  if (negative) digits.insert(0, 1, '-');
  if (base == 10 && digits.size() > kMaxDecimalDigits) {
    machine.fail("Exceeds the limit (" + std::to_string(kMaxDecimalDigits) +
                 " digits) for integer string conversion");
  }
  return read_integer(digits, base);
}

std::optional<double> parse_real(std::string_view text) {
  std::string digits(trimmed(text));
  if (!remove_underscores(digits, is_ascii_digit)) return std::nullopt;
  std::string word = digits;
  std::transform(word.begin(), word.end(), word.begin(),
                 [](char c) { return static_cast<char>(std::tolower(static_cast<unsigned char>(c))); });
  const size_t sign = word.starts_with('-') || word.starts_with('+') ? 1 : 0;
  const std::string_view name = std::string_view(word).substr(sign);
  const bool is_word = name == "inf" || name == "infinity" || name == "nan";
  if (!is_word && (name.empty() || name.find_first_not_of("0123456789.e+-") != std::string_view::npos)) {
    return std::nullopt;
  }
  char* end = nullptr;
  const double value = std::strtod(digits.c_str(), &end);
  return end == digits.c_str() + digits.size() ? std::optional(value) : std::nullopt;
}

}  // namespace ddro::jinja
