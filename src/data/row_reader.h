// The rows of a file, one after the other, not yet parsed.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "ddro/base/hash.h"
#include "ddro/base/json.h"

namespace ddro::data {

struct RawRow {
  std::string text;                     // JSON, where there are no fields
  std::function<Json()> fields;         // of a file that is no text: makes them; throws BadRow (messages.h)
  std::string where;                    // "file:line"; "file: row N" where there are no lines; from 1
  std::optional<std::string> unusable;  // why, when the text is left out: it is above kMaxRowBytes
  bool unterminated = false;            // the file's last line, without a newline
  size_t column_bytes = 0;              // of memory, about, that `fields` are made from

  size_t num_bytes() const { return text.size() + column_bytes; }
};

constexpr size_t kMaxRowBytes = size_t{64} << 20;

class RowReader {
 public:
  virtual ~RowReader() = default;
  // Error(kInput) when the file cannot be read on: "[data] ", the place, the reason. Of a row above
  // kMaxRowBytes the rest is read with the next one.
  virtual bool next(RawRow& row) = 0;
};

// Reads a file that is Parquet or Arrow by its name (of `columns`, ours to theirs, theirs are read:
// column_rows.h), or that holds JSON: a list, whose items are the rows, when that is what it begins with,
// else lines, of which blank ones are left out. Memory is bounded by kMaxRowBytes. A byte order mark at the
// start is left out. Every byte of the file goes through `hasher`, which must outlive the reader.
// Error(kInput).
std::unique_ptr<RowReader> open_rows(const std::string& path,
                                     const std::map<std::string, std::string>& columns, Hasher& hasher);

// A row's fields, parsed or made. Error(kInput) beginning with "[data] where: ", also for a row
// that is unusable.
Json fields_of(const RawRow& row);

}  // namespace ddro::data
