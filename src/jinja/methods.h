// Tables of functions by name, and the methods of each type.
#pragma once

#include <algorithm>
#include <iterator>
#include <string_view>

#include "jinja/machine.h"
#include "jinja/objects.h"

namespace ddro::jinja {

struct NamedNative {
  std::string_view name;
  Native native;
};

// Null for a name that is not in the table.
template <size_t N>
Native find_native(const NamedNative (&table)[N], std::string_view name) {
  const auto* found = std::find_if(std::begin(table), std::end(table),
                                   [&](const NamedNative& entry) { return entry.name == name; });
  return found == std::end(table) ? nullptr : found->native;
}

Native find_string_method(std::string_view name);
Native find_list_method(std::string_view name);  // also of tuples and ranges
Native find_dict_method(std::string_view name);
Native find_object_method(const Object& object, std::string_view name);  // of loops and cyclers

// Whether all cased characters of `text` are upper (or lower) case and there is one.
bool is_all_case(Machine& machine, std::string_view text, bool wants_upper);

}  // namespace ddro::jinja
