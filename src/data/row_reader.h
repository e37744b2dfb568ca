// The rows of a file, one after the other, not yet parsed.
#pragma once

#include <memory>
#include <string>

#include "ddro/base/hash.h"

namespace ddro::data {

struct RawRow {
  std::string text;           // JSON
  std::string where;          // "file:line"; "file: row N" in a list; both counted from 1
  bool too_long = false;      // above kMaxRowBytes; the text is left out
  bool unterminated = false;  // the file's last line, without a newline
};

constexpr size_t kMaxRowBytes = size_t{64} << 20;

// Why a row that is too long cannot be used.
std::string too_long_reason();

class RowReader {
 public:
  virtual ~RowReader() = default;
  // Error(kInput) when the file cannot be read on: "[data] ", the place, the reason.
  virtual bool next(RawRow& row) = 0;
};

// Reads a file that holds JSON: a list, whose items are the rows, when that is what it begins with, else
// lines, of which blank ones are left out. Memory is bounded by kMaxRowBytes. A byte order mark at the start
// is left out. Every byte of the file goes through `hasher`, which must outlive the reader. Error(kInput).
std::unique_ptr<RowReader> open_rows(const std::string& path, Hasher& hasher);

}  // namespace ddro::data
