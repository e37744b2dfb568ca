// What stands behind `is`.
#include <string>

#include "jinja/library.h"
#include "jinja/methods.h"
#include "jinja/operators.h"
#include "jinja/parameters.h"

namespace ddro::jinja {
namespace {

bool is_true_value(const Value& value) { return value.boolean() != nullptr && *value.boolean(); }
bool is_false_value(const Value& value) { return value.boolean() != nullptr && !*value.boolean(); }
bool is_defined(const Value& value) { return !value.is_undefined(); }
bool is_undefined_value(const Value& value) { return value.is_undefined(); }
bool is_none_value(const Value& value) { return value.is_none(); }
bool is_boolean(const Value& value) { return value.boolean() != nullptr; }
bool is_integer_value(const Value& value) { return value.is_integer() && value.boolean() == nullptr; }
bool is_real(const Value& value) { return value.real() != nullptr; }
bool is_number_value(const Value& value) { return value.is_number(); }
bool is_string(const Value& value) { return value.text() != nullptr; }
bool is_mapping(const Value& value) { return value.dict() != nullptr; }
bool is_escaped(const Value& value) { return value.text() != nullptr && value.text()->markup; }
bool is_iterable_value(const Value& value) { return is_iterable(value) || value.object<Loop>() != nullptr; }
bool is_sequence(const Value& value) {
  return value.text() || value.list() || value.dict() || value.is_undefined() || value.object<Range>();
}
bool is_callable(const Value& value) {
  if (value.is_undefined()) return true;
  return value.is_object() && !is_iterable(value) && !value.object<Namespace>() && !value.object<Cycler>();
}

template <bool (*check)(const Value&)>
Value type_test(Machine& machine, const Value& self, Arguments& arguments) {
  const Parameters given(machine, "the test", arguments, {});
  return {check(self)};
}

template <Operator which>
Value compare_test(Machine& machine, const Value& self, Arguments& arguments) {
  const Parameters given(machine, "the test", arguments, {"other"}, 1);
  return {compare(machine, which, self, given[0])};
}

template <int remainder>
Value parity_test(Machine& machine, const Value& self, Arguments& arguments) {
  const Parameters given(machine, "the test", arguments, {});
  const Value rest = apply_binary(machine, Operator::kMod, self, {std::int64_t{2}});
  return {equal(machine, rest, {std::int64_t{remainder}})};
}

Value divisibleby_test(Machine& machine, const Value& self, Arguments& arguments) {
  const Parameters given(machine, "divisibleby", arguments, {"num"}, 1);
  const Value rest = apply_binary(machine, Operator::kMod, self, given[0]);
  return {equal(machine, rest, {std::int64_t{0}})};
}

template <bool wants_upper>
Value case_test(Machine& machine, const Value& self, Arguments& arguments) {
  const Parameters given(machine, "the test", arguments, {});
  return {is_all_case(machine, to_text(machine, self).text, wants_upper)};
}

Value sameas_test(Machine& machine, const Value& self, Arguments& arguments) {
  const Parameters given(machine, "sameas", arguments, {"other"}, 1);
  const Value& other = given[0];
  if (self.data.index() != other.data.index()) return {false};
  if (self.is_none()) return {true};
  if (self.boolean() != nullptr) return {*self.boolean() == *other.boolean()};
  if (self.is_object()) return {std::get<Object*>(self.data) == std::get<Object*>(other.data)};
  if (self.list() != nullptr && !self.list()->is_tuple()) return {self.list() == other.list()};
  if (self.dict() != nullptr) return {self.dict() == other.dict()};
  machine.refuse("sameas on a " + type_name(self) + " is not supported");
}

template <Native (*find)(std::string_view)>
Value exists_test(Machine& machine, const Value& self, Arguments& arguments) {
  const Parameters given(machine, "the test", arguments, {});
  return {self.text() != nullptr && find(self.text()->text) != nullptr};
}

constexpr NamedNative kTests[] = {
    {"!=", compare_test<Operator::kNe>},
    {"<", compare_test<Operator::kLt>},
    {"<=", compare_test<Operator::kLe>},
    {"==", compare_test<Operator::kEq>},
    {">", compare_test<Operator::kGt>},
    {">=", compare_test<Operator::kGe>},
    {"boolean", type_test<is_boolean>},
    {"callable", type_test<is_callable>},
    {"defined", type_test<is_defined>},
    {"divisibleby", divisibleby_test},
    {"eq", compare_test<Operator::kEq>},
    {"equalto", compare_test<Operator::kEq>},
    {"escaped", type_test<is_escaped>},
    {"even", parity_test<0>},
    {"false", type_test<is_false_value>},
    {"filter", exists_test<find_filter>},
    {"float", type_test<is_real>},
    {"ge", compare_test<Operator::kGe>},
    {"greaterthan", compare_test<Operator::kGt>},
    {"gt", compare_test<Operator::kGt>},
    {"in", compare_test<Operator::kIn>},
    {"integer", type_test<is_integer_value>},
    {"iterable", type_test<is_iterable_value>},
    {"le", compare_test<Operator::kLe>},
    {"lessthan", compare_test<Operator::kLt>},
    {"lower", case_test<false>},
    {"lt", compare_test<Operator::kLt>},
    {"mapping", type_test<is_mapping>},
    {"ne", compare_test<Operator::kNe>},
    {"none", type_test<is_none_value>},
    {"number", type_test<is_number_value>},
    {"odd", parity_test<1>},
    {"sameas", sameas_test},
    {"sequence", type_test<is_sequence>},
    {"string", type_test<is_string>},
    {"test", exists_test<find_test>},
    {"true", type_test<is_true_value>},
    {"undefined", type_test<is_undefined_value>},
    {"upper", case_test<true>},
};

}  // namespace

Native find_test(std::string_view name) { return find_native(kTests, name); }

}  // namespace ddro::jinja
