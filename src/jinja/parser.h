// Jinja source to syntax tree.
#pragma once

#include <string>
#include <string_view>

#include "jinja/syntax.h"

namespace ddro::jinja {

// Error(kModel) "[name:line] ..." on a syntax error, on a statement that is not known, and as
// refuse_unknown_names gives it.
Program parse(std::string_view source, const std::string& name);

}  // namespace ddro::jinja
