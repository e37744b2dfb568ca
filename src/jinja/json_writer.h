// json.dumps.
#pragma once

#include <optional>
#include <string>

#include "jinja/machine.h"

namespace ddro::jinja {

struct JsonStyle {
  bool ensure_ascii = false;
  bool sort_keys = false;
  std::optional<std::string> indent;  // of one level; nothing: all on one line
  MarkedText item_separator, key_separator;
};

MarkedText write_json(Machine& machine, const Value& value, const JsonStyle& style);

}  // namespace ddro::jinja
