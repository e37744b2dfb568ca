// The ways in which data sets lay out a preference row, and what each becomes: prompt, chosen and rejected,
// or prompt, completion and label.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "ddro/base/json.h"
#include "ddro/data/data_options.h"

namespace ddro::data {

// Whether some layout reads a field of this name.
bool is_row_field(const std::string& name);
std::string row_field_names();  // "prompt, chosen, ..."

void drop_null_fields(Json& fields);

// Gives the fields that `columns` (ours: theirs) names our names; the ours that were found.
std::vector<std::string> rename_columns(const std::map<std::string, std::string>& columns, Json& fields);

// The layout of a row without null fields; kPairs or kLabels where none is recognised, whose fields are then
// the ones to miss.
Layout recognise_layout(const Json& fields);

// Rewrites the fields of `layout` to those of kPairs or kLabels. Fields that it does not read stay. Throws
// BadRow (messages.h) naming the field that is missing or is something else.
void standardize_row(Layout layout, Json& fields);

}  // namespace ddro::data
