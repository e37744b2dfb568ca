// JSON to values.
#pragma once

#include <string>

#include "ddro/base/json.h"
#include "ddro/jinja/template.h"
#include "jinja/machine.h"

namespace ddro::jinja {

// The variable's value, its strings marked by its rule. An error for a string that is not UTF-8 and for what
// is nested deeper than kMaxDataDepth.
Value read_json(Machine& machine, const Variable& variable);

}  // namespace ddro::jinja
