// Python's int: 64 bits where they suffice, else as many as it takes.
#pragma once

#include <compare>
#include <optional>
#include <string>
#include <string_view>

#include "jinja/machine.h"
#include "jinja/syntax.h"

namespace ddro::jinja {

// `left` and `right` are ints or bools; a quotient and a power with a negative exponent are floats. An error
// for a division by zero and for more than kMaxIntegerBits.
Value integer_arithmetic(Machine& machine, Operator which, const Value& left, const Value& right);
Value negate_integer(Machine& machine, const Value& value);
Value absolute_integer(Machine& machine, const Value& value);

// Exact, also between ints and floats; a NaN is unordered.
std::partial_ordering compare_numbers(const Value& left, const Value& right);

// Digits of the base (2, 8, 10, 16) in front of which there may be a -; nothing for any other text.
std::optional<Value> read_integer(std::string_view digits, int base = 10);
// In the base, with - if it is negative. An error for more decimal digits than Python writes.
std::string write_integer(Machine& machine, const Value& value, int base = 10);
// int(real) of a finite number.
Value truncate_real(double real);
// The nearest float; infinite beyond the largest.
double integer_to_real(const Value& value);
// Equal for equal numbers, int or float; empty for a float that is no whole number.
std::string whole_number_key(const Value& value);

}  // namespace ddro::jinja
