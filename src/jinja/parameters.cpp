#include "jinja/parameters.h"

#include <algorithm>

#include "ddro/base/error.h"

namespace ddro::jinja {

Parameters::Parameters(Machine& machine, std::string_view function, const Arguments& arguments,
                       std::initializer_list<std::string_view> names, size_t required)
    : machine_(machine), function_(function), values_(names.size()) {
  if (arguments.positional.size() > names.size()) {
    machine.fail(function_ + " takes at most " + std::to_string(names.size()) + " arguments, got " +
                 std::to_string(arguments.positional.size()));
  }
  std::copy(arguments.positional.begin(), arguments.positional.end(), values_.begin());
  for (const auto& [name, value] : arguments.named) {
    const auto found = std::find(names.begin(), names.end(), name);
    if (found == names.end()) machine.fail(function_ + " has no argument " + printable(quote_text(name)));
    std::optional<Value>& slot = values_[static_cast<size_t>(found - names.begin())];
    if (slot) machine.fail(function_ + " got two values for its argument " + name);
    slot = value;
  }
  for (size_t i = 0; i < required; ++i) {
    if (!values_[i]) machine.fail(function_ + " needs its argument " + std::string(*(names.begin() + i)));
  }
}

std::int64_t Parameters::integer(size_t index, std::int64_t otherwise) const {
  if (!has(index)) return otherwise;
  const Value& value = *values_[index];
  if (!value.is_integer()) machine_.fail(function_ + " needs an integer, got " + type_name(value));
  return value.integer();
}

MarkedText Parameters::text(size_t index, std::string_view otherwise) const {
  return has(index) ? to_text(machine_, *values_[index]) : make_text(std::string(otherwise), false);
}

}  // namespace ddro::jinja
