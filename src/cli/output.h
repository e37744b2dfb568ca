// Results on standard output. Every failure to write is noticed: a full disk is Error(kSave), a reader that
// has gone is OutputClosed.
#pragma once

#include <exception>
#include <string_view>

namespace ddro::cli {

class OutputClosed : public std::exception {
 public:
  const char* what() const noexcept override { return "standard output is closed"; }
};

void print(std::string_view text);
void print_line(std::string_view text);
void flush_output();

}  // namespace ddro::cli
