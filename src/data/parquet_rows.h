// Rows of a Parquet file.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "data/row_reader.h"

namespace ddro::data {

// The columns that some layout reads (layouts.h) or that `columns` (ours: theirs) names are read, a page at a
// time; of others a row has the name and null. Columns hold text, numbers, booleans, and lists and structs of
// these, also as dictionaries; fields of a struct that are null are left out, since there they stand for
// fields that other rows have. Error(kInput) for a file that is damaged or cut off, and for a column to be
// read that is of another type.
std::unique_ptr<RowReader> open_parquet(const std::string& path,
                                        const std::map<std::string, std::string>& columns);

}  // namespace ddro::data
