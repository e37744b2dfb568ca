#include "cli/output.h"

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "ddro/base/error.h"

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

void flush_output() {
  if (std::fflush(stdout) != 0) fail(errno);
}

void check_out(const std::filesystem::path& out) {
  const std::filesystem::path folder = out.has_parent_path() ? out.parent_path() : ".";
  if (!out.empty() && !std::filesystem::is_directory(folder)) {
    throw input_error("[--out] the folder of " + printable(out.string(), 400) + " does not exist");
  }
}

}  // namespace ddro::cli
