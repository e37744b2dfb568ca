// Rows of a file in Arrow's own format, as `save_to_disk` of Hugging Face's datasets leaves them.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "data/row_reader.h"

namespace ddro::data {

// As open_columns (column_rows.h) has it, a record batch at a time; a stream, or a file with the magic
// "ARROW1". Of a stream the mark of its end is required, without which one that was cut off between batches
// looks whole.
std::unique_ptr<RowReader> open_arrow(const std::string& path,
                                      const std::map<std::string, std::string>& columns);

}  // namespace ddro::data
