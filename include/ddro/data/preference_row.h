// One line of a data file, checked and typed, not yet tokenized.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "ddro/base/json.h"

namespace ddro::data {

// A text as it is, or a message list ([{"role": ..., "content": ...}]).
using Content = std::variant<std::string, Json>;

struct Completion {
  Content content;
  bool finished = true;  // false: cut off by a length limit; encoded without an end token
};

enum class RowKind { kPaired, kUnpaired };

struct PreferenceRow {
  RowKind kind = RowKind::kPaired;
  std::string where;          // "file:line"
  Content prompt;             // for implicit prompts: the common beginning of both message lists
  Completion chosen;          // paired: chosen; unpaired: the completion
  Completion rejected;        // paired only
  bool label = true;          // unpaired: true when preferred
  double weight = 1.0;        // counts as that many identical rows
  std::vector<std::string> ignored_fields;
};

// Parses one line. Error(kInput) beginning with "[data] file:line: ".
PreferenceRow parse_row(std::string_view line, const std::string& where);

}  // namespace ddro::data
