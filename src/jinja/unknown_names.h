// Filters, tests and methods that there are not: jinja2 refuses a template for a filter or test that it does
// not know unless the name stands under a condition, where reaching it is the error. Likewise here, methods
// included: a template is refused before a run rather than in it where that takes nothing away.
#pragma once

#include "jinja/syntax.h"

namespace ddro::jinja {

// Error(kModel) "[name:line] ..." for the first such name that no condition guards.
void refuse_unknown_names(const Program& program);

}  // namespace ddro::jinja
