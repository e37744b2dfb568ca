// Characters whose upper or title case is more than one character (Unicode's SpecialCasing.txt, unconditional
// rows).
#pragma once

#include <string_view>

namespace ddro::jinja {

struct SpecialCase {
  char32_t from;
  std::u32string_view upper;
  std::u32string_view title;
};

// Null for a character with a simple mapping.
const SpecialCase* find_special_case(char32_t c);

}  // namespace ddro::jinja
