// Jinja source to syntax tree.
#pragma once

#include <string>
#include <string_view>

#include "jinja/syntax.h"

namespace ddro::jinja {

// Error(kModel) "[name:line] ..." on a syntax error and on a statement, filter, test or method that is not
// known.
Program parse(std::string_view source, const std::string& name);

}  // namespace ddro::jinja
