// One row of a data file, checked and typed, not yet tokenized.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <variant>
#include <vector>

#include "ddro/base/json.h"
#include "ddro/data/data_options.h"

namespace ddro::data {

// A text as it is, or a message list ([{"role": ..., "content": ...}]). Within one row all contents have one
// form.
using Content = std::variant<std::string, Json>;

struct Completion {
  Content content;       // never empty; as messages: at least one
  bool finished = true;  // false: cut off by a length limit; encoded without an end token
};

enum class RowKind { kPaired, kUnpaired };

// How a row's prompt and answers were told apart.
enum class PromptSplit {
  kAsWritten,
  kCommonText,      // no prompt: the text that both answers begin with
  kRepetitionCut,   // every answer began with the prompt
  kRepetitionKept,  // so too, but the prompt is short enough for an answer to begin with it by itself
};

struct PreferenceRow {
  RowKind kind = RowKind::kPaired;
  Layout layout = Layout::kPairs;  // what the row was read as; not kAuto
  std::string where;               // "file:line"
  PromptSplit prompt_split = PromptSplit::kAsWritten;
  Content prompt;         // for implicit prompts: the common beginning of both message lists
  Json template_kwargs;   // the row's tools, documents and chat_template_kwargs: an object, or null
  Completion chosen;      // paired: chosen; unpaired: the completion
  Completion rejected;    // paired only
  bool label = true;      // unpaired: true when preferred
  bool has_label = true;  // unpaired: false under unlabelled_is_preferred where the row has none
  double weight = 1.0;    // counts as that many identical rows; 1e-9 to 1e9
  std::vector<std::string> ignored_fields;
  std::vector<std::string> found_columns;  // of RowFormat::columns, our names
};

// What is known of rows before they are read.
struct RowFormat {
  Layout layout = Layout::kAuto;
  std::map<std::string, std::string> columns;  // our name of a field -> its name in the row
  bool unlabelled_is_preferred = false;
};

inline RowFormat row_format(const DataOptions& options) {
  return {options.layout, options.columns, options.unlabelled_is_preferred};
}

// Checks one row, a JSON value. Error(kInput) beginning with "[data] where: ". Fields that are null are not
// there.
//
// Messages are objects with a string `role` and a `content` that is a string, a list of text parts, or, in a
// message with tool calls, null or absent; other ways to write them are taken as these (docs/data.md).
// Further fields are the template's business.
//
// A prompt that stands once more at the beginning of every answer is cut off there.
//
// A completion given as messages begins and ends with one of the assistant's. Chosen and rejected without a
// prompt begin alike. The prompt is the longest common beginning behind which both go on: messages with one
// of the assistant, strings with the space in front of where they part, if there is one.
PreferenceRow parse_row(Json fields, const std::string& where, const RowFormat& format = {});

// A row of which the prompt and what goes with it matter: one of pairs or labels, whose other fields may be
// anything and are not read, or a whole one of another layout. Error(kInput) like parse_row's.
PreferenceRow parse_prompt(Json fields, const std::string& where, const RowFormat& format = {});

}  // namespace ddro::data
