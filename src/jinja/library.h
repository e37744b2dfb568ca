// The functions a template can call by name. Null for what is not known.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "jinja/machine.h"
#include "jinja/objects.h"

namespace ddro::jinja {

Native find_filter(std::string_view name);
Native find_test(std::string_view name);
Native find_global(std::string_view name);
// Whether Python's strings, lists, tuples, dicts or numbers have a method or attribute of this name that this
// interpreter lacks.
bool is_missing_method(std::string_view name);

// obj.name and obj[index], as jinja2's sandbox resolves them.
Value get_attribute(Machine& machine, const Value& object, const std::string& name);
// The attribute that the type itself has (the filter `attr`): never a key of a dict. Nothing if there is
// none.
std::optional<Value> get_own_attribute(Machine& machine, const Value& object, const std::string& name);
Value get_item(Machine& machine, const Value& object, const Value& index);
Value get_slice(Machine& machine, const Value& object, const Value& start, const Value& stop,
                const Value& step);

}  // namespace ddro::jinja
