// Files of prompts to complete.
#pragma once

#include <string>
#include <vector>

#include "ddro/data/data_options.h"
#include "ddro/data/preference_row.h"
#include "ddro/data/text_source.h"

namespace ddro::data {

struct Prompt {
  std::string where;  // "file:line"
  Content content;
  std::vector<text::TokenId> ids;
};

// The prompts of JSON lines with a field `prompt`, in file order; `files` as load_dataset takes them, so that
// rows of preference data with a prompt can be used too. Of the options, parse_control_tokens matters.
// Error(kInput) for the first row that cannot be used, with file:line, and for files without a row.
std::vector<Prompt> load_prompts(const std::vector<std::string>& files, const DataOptions& options,
                                 const TextSource& text);

}  // namespace ddro::data
