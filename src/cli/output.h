// Results on standard output. Every failure to write is noticed: a full disk is Error(kSave), a reader that
// has gone is OutputClosed.
#pragma once

#include <exception>
#include <string>
#include <string_view>
#include <vector>

namespace ddro::cli {

class OutputClosed : public std::exception {
 public:
  const char* what() const noexcept override { return "standard output is closed"; }
};

void print(std::string_view text);
void print_line(std::string_view text);
void flush_output();

// As Markdown; the first row is the head.
void print_table(const std::vector<std::vector<std::string>>& rows);

// For a command's option --out, empty for standard output. check_out: Error(kInput) for a place that no file
// can have, before the work rather than after it. write_result: the file, atomic, or standard output.
void check_out(const std::string& out);
void write_result(const std::string& out, std::string_view text);

}  // namespace ddro::cli
