// A number in the notation of a format specification.
#pragma once

#include <string>

#include "jinja/machine.h"

namespace ddro::jinja {

struct FormatSpec {
  std::string fill;  // empty: not given
  char align = 0;    // < > ^ =, or 0
  char sign = '-';   // - + or space
  bool alternate = false;
  bool zero = false;
  std::int64_t width = 0;
  char grouping = 0;  // , or _ or 0
  int precision = -1;
  char type = 0;
};

// An int, bool or float; the type must be one of d i u x X o b f F e E g G % or 0. Padded to the width.
MarkedText format_number(Machine& machine, const Value& value, const FormatSpec& spec);

inline constexpr int kMaxPrecision = 100;
inline constexpr std::int64_t kMaxFieldWidth = 10'000;

// Reads a decimal number at `offset`; an error above `limit`.
std::int64_t read_number(Machine& machine, std::string_view text, size_t& offset, std::int64_t limit);

}  // namespace ddro::jinja
