// Arithmetic, with Python's types and rounding.
#pragma once

#include "jinja/machine.h"
#include "jinja/syntax.h"

namespace ddro::jinja {

// A text `left` that nothing else holds is made longer where it is, so that a chain of + is linear.
Value apply_binary(Machine& machine, Operator which, Value left, const Value& right);
Value negate(Machine& machine, const Value& value);
Value plus(Machine& machine, const Value& value);
bool compare(Machine& machine, Operator which, const Value& left, const Value& right);

}  // namespace ddro::jinja
