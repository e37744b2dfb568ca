// int('...') and float('...').
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "jinja/machine.h"

namespace ddro::jinja {

// Nothing where Python raises ValueError; an error for more than 64 bits. Base 2, 8, 10 or 16.
std::optional<std::int64_t> parse_integer(Machine& machine, std::string_view text, int base);
std::optional<double> parse_real(std::string_view text);

}  // namespace ddro::jinja
