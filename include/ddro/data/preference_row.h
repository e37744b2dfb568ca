// One line of a data file, checked and typed, not yet tokenized.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "ddro/base/json.h"

namespace ddro::data {

// A text as it is, or a message list ([{"role": ..., "content": ...}]). Within one row all contents have one
// form.
using Content = std::variant<std::string, Json>;

struct Completion {
  Content content;       // never empty; as messages: exactly one
  bool finished = true;  // false: cut off by a length limit; encoded without an end token
};

enum class RowKind { kPaired, kUnpaired };

struct PreferenceRow {
  RowKind kind = RowKind::kPaired;
  std::string where;    // "file:line"
  Content prompt;       // for implicit prompts: the common beginning of both message lists
  Completion chosen;    // paired: chosen; unpaired: the completion
  Completion rejected;  // paired only
  bool label = true;    // unpaired: true when preferred
  double weight = 1.0;  // counts as that many identical rows; 1e-9 to 1e9
  std::vector<std::string> ignored_fields;
};

// Parses one line. Error(kInput) beginning with "[data] file:line: ".
//
// Messages are objects with a string `role` and a `content` that is a string, a list of parts ({"type":
// ...}), or, in a message with tool calls, null or absent. Further fields are the template's business.
//
// A completion given as messages is exactly one message, and not the user's or the system's: what a
// completion of several turns is conditioned on, and where it ends, the objective does not define. So chosen
// and rejected without a prompt must be equal up to their last messages.
PreferenceRow parse_row(std::string_view line, const std::string& where);

// The `prompt` of one line, whose other fields do not matter. Error(kInput) like parse_row's.
Content parse_prompt(std::string_view line, const std::string& where);

}  // namespace ddro::data
