// int('...') and float('...').
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "jinja/machine.h"

namespace ddro::jinja {

// Nothing where Python raises ValueError for the text; an error for more digits than it reads. Base 2, 8, 10
// or 16.
std::optional<Value> parse_integer(Machine& machine, std::string_view text, int base);
std::optional<double> parse_real(std::string_view text);

}  // namespace ddro::jinja
