#include "jinja/operators.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "jinja/integers.h"
#include "jinja/limits.h"
#include "jinja/python_format.h"

namespace ddro::jinja {
namespace {

const char* symbol(Operator which) {
  static constexpr const char* kSymbols[] = {
      "+", "-", "*", "/", "//", "%", "** or pow()", "==", "!=", "<", "<=", ">", ">=", "in", "not in"};
  return kSymbols[static_cast<int>(which)];
}

void fail_if_undefined(Machine& machine, const Value& value) {
  if (const auto* problem = std::get_if<Undefined>(&value.data)) machine.fail(*problem->problem);
}

[[noreturn]] void fail_types(Machine& machine, Operator which, const Value& left, const Value& right) {
  fail_if_undefined(machine, left);
  fail_if_undefined(machine, right);
  machine.fail(std::string("unsupported operand type(s) for ") + symbol(which) + ": '" + type_name(left) +
               "' and '" + type_name(right) + "'");
}

// Python's float modulo: the sign of the divisor.
double real_modulo(double a, double b) {
  const double result = std::fmod(a, b);
  if (result == 0) return std::copysign(0.0, b);
  return (result < 0) != (b < 0) ? result + b : result;
}

double real_floor_divide(double a, double b) {
  const double modulo = real_modulo(a, b);
  const double quotient = (a - modulo) / b;
  if (quotient == 0) return std::copysign(0.0, a / b);
  const double floor = std::floor(quotient);
  return quotient - floor > 0.5 ? floor + 1 : floor;
}

Value real_arithmetic(Machine& machine, Operator which, double a, double b) {
  const bool divides = which == Operator::kDiv || which == Operator::kFloorDiv || which == Operator::kMod;
  if (divides && b == 0) machine.fail("float division by zero");
  switch (which) {
    case Operator::kAdd:
      return {a + b};
    case Operator::kSub:
      return {a - b};
    case Operator::kMul:
      return {a * b};
    case Operator::kDiv:
      return {a / b};
    case Operator::kFloorDiv:
      return {real_floor_divide(a, b)};
    case Operator::kMod:
      return {real_modulo(a, b)};
    default:
      break;
  }
  if (a == 0 && b < 0) machine.fail("0.0 cannot be raised to a negative power");
  if (a < 0 && std::isfinite(b) && b != std::floor(b)) machine.refuse("complex numbers are not supported");
  const double result = std::pow(a, b);
  if (std::isinf(result) && std::isfinite(a) && std::isfinite(b))
    machine.fail("numerical result out of range");
  return {result};
}

Value repeat(Machine& machine, const Value& sequence, std::int64_t count) {
  const auto times = static_cast<std::uint64_t>(std::max<std::int64_t>(count, 0));
  if (const MarkedText* text = sequence.text()) {
    if (!text->text.empty() && times > kMaxTextBytes / text->text.size()) machine.charge_text(UINT64_MAX);
    MarkedText out;
    out.markup = text->markup;
    for (std::uint64_t i = 0; i < times && !text->text.empty(); ++i) machine.grow(out, *text);
    return machine.text(std::move(out));
  }
  const List& list = *sequence.list();
  if (!list.items.empty() && times > kMaxSteps / list.items.size()) machine.charge(kMaxSteps);
  machine.charge(times * list.items.size());
  std::vector<Value> items;
  for (std::uint64_t i = 0; i < times && !list.items.empty(); ++i) {
    items.insert(items.end(), list.items.begin(), list.items.end());
  }
  return machine.list(std::move(items), list.is_tuple() ? List::Kind::kTuple : List::Kind::kList);
}

// Takes as many steps as a new text would.
Value extend_text(Machine& machine, TextRef left, const MarkedText& right) {
  auto& text = const_cast<MarkedText&>(*left);  // made by Machine::text, which makes no constant
  machine.charge(1 + text.text.size() / 16 + text.marks.size());
  machine.grow(text, right);
  machine.charge_text(text.text.size());
  machine.charge(text.marks.size());
  return {std::move(left)};
}

Value add_texts(Machine& machine, TextRef left_ref, const MarkedText& right) {
  const MarkedText& left = *left_ref;
  const bool markup = left.markup || right.markup;
  if (!markup && left_ref.use_count() == 1) return extend_text(machine, std::move(left_ref), right);
  MarkedText out;
  out.text.reserve(left.text.size() + right.text.size());
  out.marks.reserve(left.marks.size() + right.marks.size());
  machine.grow(out, markup && !left.markup ? escape_html(left) : left);
  machine.grow(out, markup && !right.markup ? escape_html(right) : right);
  out.markup = markup;
  return machine.text(std::move(out));
}

Value add_lists(Machine& machine, const List& left, const List& right) {
  machine.charge(left.items.size() + right.items.size());
  std::vector<Value> items = left.items;
  items.insert(items.end(), right.items.begin(), right.items.end());
  return machine.list(std::move(items), left.is_tuple() ? List::Kind::kTuple : List::Kind::kList);
}

}  // namespace

Value apply_binary(Machine& machine, Operator which, Value left, const Value& right) {
  if (left.is_integer() && right.is_integer()) {
    return integer_arithmetic(machine, which, left, right);
  }
  if (left.is_number() && right.is_number()) {
    for (const Value* side : {&std::as_const(left), &right}) {
      if (side->big_integer() && std::isinf(side->number()))
        machine.fail("int too large to convert to float");
    }
    return real_arithmetic(machine, which, left.number(), right.number());
  }
  if (which == Operator::kAdd && left.text() && right.text())
    return add_texts(machine, std::get<TextRef>(std::move(left.data)), *right.text());
  if (which == Operator::kAdd && left.list() && right.list() &&
      left.list()->is_tuple() == right.list()->is_tuple()) {
    return add_lists(machine, *left.list(), *right.list());
  }
  if (which == Operator::kMul && (left.text() || left.list()) && right.is_integer()) {
    return repeat(machine, left, right.integer());
  }
  if (which == Operator::kMul && (right.text() || right.list()) && left.is_integer()) {
    return repeat(machine, right, left.integer());
  }
  if (which == Operator::kMod && left.text()) return format_percent(machine, *left.text(), right);
  fail_types(machine, which, left, right);
}

Value negate(Machine& machine, const Value& value) {
  fail_if_undefined(machine, value);
  if (const double* real = value.real()) return {-*real};
  if (!value.is_integer()) machine.fail("bad operand type for unary -: '" + type_name(value) + "'");
  return negate_integer(machine, value);
}

Value plus(Machine& machine, const Value& value) {
  fail_if_undefined(machine, value);
  if (value.real() != nullptr) return value;
  if (!value.is_integer()) machine.fail("bad operand type for unary +: '" + type_name(value) + "'");
  return value.boolean() ? Value{value.integer()} : value;
}

bool compare(Machine& machine, Operator which, const Value& left, const Value& right) {
  switch (which) {
    case Operator::kEq:
      return equal(machine, left, right);
    case Operator::kNe:
      return !equal(machine, left, right);
    case Operator::kIn:
      return contains(machine, right, left);
    case Operator::kNotIn:
      return !contains(machine, right, left);
    case Operator::kLt:
      return less(machine, left, right);
    case Operator::kGt:
      return less(machine, right, left);
    default:
      break;
  }
  // With a NaN neither <= nor >= holds, so they are not the negations of > and <.
  const Value& low = which == Operator::kLe ? left : right;
  const Value& high = which == Operator::kLe ? right : left;
  return less(machine, low, high) || equal(machine, low, high);
}

}  // namespace ddro::jinja
