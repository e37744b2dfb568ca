// The names of an enumeration's values, listed beside it: what a configuration, a command line and a file
// call them.
#pragma once

#include <array>
#include <string>
#include <string_view>

#include "ddro/base/error.h"

namespace ddro {

template <typename Enum>
struct EnumName {
  std::string_view name;
  Enum value;
};

// EnumNames<E>::kNames; of several names of one value, the first is the one that is written.
template <typename Enum>
struct EnumNames;

template <typename Enum>
std::string enum_name(Enum value) {
  for (const auto& entry : EnumNames<Enum>::kNames) {
    if (entry.value == value) return std::string(entry.name);
  }
  DDRO_CHECK(false, "an enumerator without a name");
}

// Error(kInput) that begins with [where] and lists the names.
template <typename Enum>
Enum parse_enum(const std::string& where, const std::string& text) {
  std::string known;
  for (const auto& entry : EnumNames<Enum>::kNames) {
    if (entry.name == text) return entry.value;
    known += (known.empty() ? "" : ", ") + std::string(entry.name);
  }
  throw input_error("[" + where + "] unknown value \"" + printable(text) + "\"; known: " + known);
}

}  // namespace ddro
