// The escapes of string literals.
#pragma once

#include <string>
#include <string_view>

namespace ddro::jinja {

// What is between the quotes of a literal, with escapes replaced as jinja2 does it (Python's codec
// unicode-escape). Returns false with `problem` set.
bool unescape(std::string_view literal, std::string& out, std::string& problem);

}  // namespace ddro::jinja
