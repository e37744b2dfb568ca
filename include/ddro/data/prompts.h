// Files of prompts to complete.
#pragma once

#include <string>
#include <vector>

#include "ddro/data/data_options.h"
#include "ddro/data/preference_row.h"
#include "ddro/data/text_source.h"

namespace ddro::data {

struct Prompt {
  std::string where;  // "file:line", or "file: row N" of a list
  Content content;
  std::vector<text::TokenId> ids;
};

// The prompts of rows with a field `prompt`, or of preference rows of any layout, in file order; `files` as
// load_dataset takes them. Of the options, those about rows, template and control tokens matter.
// Error(kInput) for the first row that cannot be used, with file:line, and for files without a row.
std::vector<Prompt> load_prompts(const std::vector<std::string>& files, const DataOptions& options,
                                 const TextSource& text);

}  // namespace ddro::data
