#include "cli/output.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include "ddro/base/error.h"
#include "ddro/base/files.h"

namespace ddro::cli {
namespace {

[[noreturn]] void fail(int reason) {
  if (reason == EPIPE) throw OutputClosed();
  throw save_error(std::string("[stdout] cannot be written: ") + std::strerror(reason));
}

}  // namespace

void print(std::string_view text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size()) fail(errno);
}

void print_line(std::string_view text) {
  print(text);
  print("\n");
}

void print_table(const std::vector<std::vector<std::string>>& rows) {
  const auto print_row = [](const std::vector<std::string>& cells) {
    std::string line = "|";
    for (const std::string& cell : cells) line += " " + cell + " |";
    print_line(line);
  };
  print_row(rows.front());
  print_row(std::vector<std::string>(rows.front().size(), "---"));
  for (size_t i = 1; i < rows.size(); ++i) print_row(rows[i]);
}

void flush_output() {
  if (std::fflush(stdout) != 0) fail(errno);
}

void check_out(const std::string& out) {
  const std::filesystem::path path = out;
  const std::string name = printable(out, 400);
  std::error_code ignored;
  if (!out.empty() &&
      !std::filesystem::is_directory(path.has_parent_path() ? path.parent_path() : ".", ignored)) {
    throw input_error("[--out] the folder of " + name + " does not exist");
  }
  if (std::filesystem::exists(path, ignored) && !std::filesystem::is_regular_file(path, ignored)) {
    throw input_error("[--out] " + name + " exists and is not a regular file");
  }
}

void write_result(const std::string& out, std::string_view text) {
  if (out.empty()) {
    print(text);
  } else {
    write_file_atomic(out, text);
  }
}

}  // namespace ddro::cli
