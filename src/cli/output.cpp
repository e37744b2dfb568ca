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

}  // namespace ddro::cli
