// Results on standard output, or in the file of --out. Every failure to write is noticed: a full disk is
// Error(kSave), a reader that has gone is OutputClosed.
#pragma once

#include <exception>
#include <filesystem>
#include <string_view>

namespace ddro::cli {

class OutputClosed : public std::exception {
 public:
  const char* what() const noexcept override { return "standard output is closed"; }
};

void print(std::string_view text);
void print_line(std::string_view text);
void flush_output();

// Error(kInput) when the folder of an --out file does not exist: said before the work rather than after it.
// An empty `out` stands for standard output.
void check_out(const std::filesystem::path& out);

}  // namespace ddro::cli
