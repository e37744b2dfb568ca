// Which variable a name means: jinja2 decides it when it compiles, from the order of reads and assignments in
// the text of a scope. Assignments that are run in that order need no help, but a name that a scope assigns
// before it reads it, and that no scope around it mentions, is the scope's own from the start: a loop or
// macro inside that reads it earlier finds it undefined and not the variable that the template was called
// with.
#pragma once

#include "jinja/syntax.h"

namespace ddro::jinja {

// Fills Block::unset of all blocks that have a scope.
void find_unset_names(Program& program);

}  // namespace ddro::jinja
