#include "jinja/number_format.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstdio>

#include "jinja/integers.h"
#include "jinja/python_format.h"

namespace ddro::jinja {
namespace {

// Without the sign.
std::string integer_digits(Machine& machine, const Value& value, char type) {
  const int base = type == 'x' || type == 'X' ? 16 : type == 'o' ? 8 : type == 'b' ? 2 : 10;
  std::string digits = write_integer(machine, value, base);
  if (digits[0] == '-') digits.erase(0, 1);
  if (type == 'X') {
    std::transform(digits.begin(), digits.end(), digits.begin(),
                   [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  }
  return digits;
}

std::string real_digits(double value, const FormatSpec& spec) {
  if (!std::isfinite(value)) {
    const std::string name = std::isnan(value) ? "nan" : "inf";
    return std::isupper(static_cast<unsigned char>(spec.type)) != 0 ? (name == "nan" ? "NAN" : "INF") : name;
  }
  if (spec.type == 0) return represent_real(value);
  const char type = spec.type == '%' ? 'f' : spec.type;
  const char format[] = {'%',
                         spec.alternate ? '#' : '.',
                         spec.alternate ? '.' : '*',
                         spec.alternate ? '*' : type,
                         spec.alternate ? type : '\0',
                         '\0'};
  char buffer[512];
  std::snprintf(buffer, sizeof buffer, format, spec.precision < 0 ? 6 : spec.precision,
                spec.type == '%' ? value * 100 : value);
  return buffer;
}

void group(std::string& digits, char separator) {
  const size_t whole = std::min(digits.find_first_not_of("0123456789"), digits.size());
  for (size_t i = whole; i > 3; i -= 3) digits.insert(i - 3, 1, separator);
}

}  // namespace

std::int64_t read_number(Machine& machine, std::string_view text, size_t& offset, std::int64_t limit) {
  std::int64_t value = 0;
  for (; offset < text.size() && text[offset] >= '0' && text[offset] <= '9'; ++offset) {
    value = value * 10 + (text[offset] - '0');
    if (value > limit) machine.fail("a format asks for more than " + std::to_string(limit) + " characters");
  }
  return value;
}

MarkedText format_number(Machine& machine, const Value& value, const FormatSpec& spec) {
  const bool as_integer =
      value.is_integer() && std::string_view("eEfFgG%").find(spec.type) == std::string_view::npos;
  std::string digits;
  std::string prefix;
  bool negative = false;
  if (as_integer) {
    negative = value.integer() < 0;
    digits = integer_digits(machine, value, spec.type);
    if (spec.alternate && std::string_view("xXob").find(spec.type) != std::string_view::npos &&
        spec.type != 0)
      prefix = {'0', spec.type};
  } else {
    if (std::isinf(value.number()) && value.big_integer()) machine.fail("int too large to convert to float");
    negative = std::signbit(value.number()) && !std::isnan(value.number());
    digits = real_digits(std::abs(value.number()), spec);
  }
  if (spec.grouping != 0) group(digits, spec.grouping);
  if (spec.type == '%') digits += '%';
  prefix = (negative ? "-" : spec.sign == '-' ? "" : std::string(1, spec.sign)) + prefix;
  const char align = spec.align != 0 ? spec.align : spec.zero ? '=' : '>';
  const std::string fill = !spec.fill.empty() ? spec.fill : spec.zero ? "0" : " ";
  if (align != '=') return pad(machine, make_text(prefix + digits, false), spec.width, align, fill);
  if (spec.grouping != 0 && fill == "0")
    machine.refuse("zero padding with a thousands separator is not supported");
  const auto inner_width = spec.width - static_cast<std::int64_t>(prefix.size());
  MarkedText out = make_text(prefix, false);
  append(out, pad(machine, make_text(digits, false), inner_width, '>', fill));
  return out;
}

}  // namespace ddro::jinja
