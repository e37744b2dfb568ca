#include "base/terminal_line.h"

#include <cstdio>

namespace ddro {
namespace {

std::mutex mutex;
bool is_drawn = false;

}  // namespace

TerminalLine::TerminalLine() : lock_(mutex) {}

void TerminalLine::draw(const std::string& text) {
  std::fprintf(stderr, "\r\033[K%s", text.c_str());
  std::fflush(stderr);
  is_drawn = true;
}

void TerminalLine::wipe() {
  if (is_drawn) draw("");
  is_drawn = false;
}

}  // namespace ddro
