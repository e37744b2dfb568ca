// Rows of a file that Arrow reads as columns, a batch of rows at a time.
#pragma once

#include <arrow/result.h>
#include <arrow/status.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "data/row_reader.h"

namespace arrow {
class Field;
class MemoryPool;
class RecordBatchReader;
}  // namespace arrow

namespace ddro::data {

// A few KB can say that a text of many MB is that of every row: what is read of all files takes 256 MB.
arrow::MemoryPool* bounded_memory();

// Arrow's failures, as the openers of formats throw them; the rows put the file's name in front.
struct Damaged {
  std::string problem;
};
struct TooLarge {};

void require(const arrow::Status& status);

template <typename T>
T value_of(arrow::Result<T> result) {
  require(result.status());
  return std::move(result).ValueUnsafe();
}

// How an error names the format.
struct ColumnFormat {
  const char* data;     // "Parquet data"
  const char* damaged;  // what they are where they cannot be read
  const char* parts;    // what a writer makes smaller
};

struct ColumnBatches {
  std::shared_ptr<void> source;  // that `reader` reads from
  std::shared_ptr<arrow::RecordBatchReader> reader;
  std::optional<std::int64_t> num_rows = std::nullopt;  // that the file says it has
  bool are_checked = false;                             // lengths and offsets, by whoever decoded them
};

// Which of a file's columns to read, as increasing indices. Error(kInput) for one that rows cannot be made
// of.
using ChooseColumns = std::function<std::vector<int>(const std::vector<std::shared_ptr<arrow::Field>>&)>;
using OpenColumns = std::function<ColumnBatches(const ChooseColumns&)>;

// The columns that some layout reads (layouts.h) or that `columns` (ours: theirs) names are read; of others a
// row has the name and null. Columns hold text, numbers, booleans, and lists and structs of these, also as
// dictionaries; fields of a struct that are null are left out, since there they stand for fields that other
// rows have. Error(kInput) for a file that is damaged or cut off, and for a column to be read that is of
// another type.
std::unique_ptr<RowReader> open_columns(const std::string& path,
                                        const std::map<std::string, std::string>& columns,
                                        const ColumnFormat& format, const OpenColumns& open);

}  // namespace ddro::data
