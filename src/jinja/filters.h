// The two tables that make up find_filter.
#pragma once

#include <string_view>

#include "jinja/methods.h"

namespace ddro::jinja {

Native find_text_filter(std::string_view name);
Native find_sequence_filter(std::string_view name);

}  // namespace ddro::jinja
