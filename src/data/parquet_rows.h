// Rows of a Parquet file.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "data/row_reader.h"

namespace ddro::data {

// As open_columns (column_rows.h) has it, a page at a time.
std::unique_ptr<RowReader> open_parquet(const std::string& path,
                                        const std::map<std::string, std::string>& columns);

}  // namespace ddro::data
