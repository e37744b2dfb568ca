// The files of a set, and their lines.
#pragma once

#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "ddro/base/hash.h"

namespace ddro::data {

// The paths that `patterns` name, in order; the matches of one glob are sorted by their bytes. A pattern that
// is the name of a file is that file. Error(kInput) for a pattern that matches nothing, a folder, or a format
// that is not JSON lines.
std::vector<std::string> expand_patterns(const std::vector<std::string>& patterns);

// A path as it stands in "file:line" and in messages.
std::string shown_path(const std::string& path);

struct Line {
  std::string text;           // without its line ending
  std::string where;          // "file:line", lines counted from 1
  bool too_long = false;      // above kMaxLineBytes; the text is left out
  bool unterminated = false;  // the file's last line, without a newline
};

constexpr size_t kMaxLineBytes = size_t{64} << 20;

// Why a line that is too long cannot be used.
std::string too_long_reason();

// The lines of one file that are not blank, one after the other, in memory bounded by kMaxLineBytes. A byte
// order mark at the start is left out. Error(kInput) when the file cannot be read.
class LineReader {
 public:
  // Every byte read goes through `hasher`, which must outlive the reader.
  LineReader(const std::string& path, Hasher& hasher);

  bool next(Line& line);

 private:
  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };

  bool fill();
  bool read_line(Line& line);

  std::string path_;
  Hasher& hasher_;
  std::unique_ptr<std::FILE, Close> file_;
  std::vector<char> buffer_;
  size_t begin_ = 0;  // of the unread bytes in the buffer
  size_t end_ = 0;
  std::int64_t number_ = 0;
};

}  // namespace ddro::data
