#include "ddro/base/progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <utility>

#include "base/terminal_line.h"
#include "ddro/base/error.h"
#include "ddro/base/log.h"

namespace ddro {
namespace {

size_t terminal_columns() {
  winsize size{};
  const bool known = ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
  return known ? size.ws_col : 80;
}

std::string with_detail(std::string line, const std::string& detail) {
  if (!detail.empty()) line += "  " + detail;
  line.resize(std::min(line.size(), terminal_columns() - 1));
  return line;
}

}  // namespace

Progress::Progress(std::string label, std::int64_t total, std::int64_t done)
    : label_(std::move(label)),
      total_(total),
      first_(done),
      line_(label_),
      terminal_(isatty(STDERR_FILENO) == 1 && log_level() <= LogLevel::kInfo),
      start_(std::chrono::steady_clock::now()) {}

Progress::~Progress() { clear(); }

void Progress::update(std::int64_t done, double tokens_per_second, const std::string& detail) {
  if (!terminal_) return;
  const double elapsed = std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  const std::int64_t fresh = done - first_;
  const double left =
      fresh > 0 ? elapsed / static_cast<double>(fresh) * static_cast<double>(total_ - done) : 0;
  constexpr int kWidth = 24;
  const int filled = total_ > 0 ? static_cast<int>(kWidth * done / total_) : 0;
  std::string line = label_ + " [" + std::string(static_cast<size_t>(filled), '#') +
                     std::string(static_cast<size_t>(kWidth - filled), '-') + "] " + std::to_string(done) +
                     "/" + std::to_string(total_);
  if (tokens_per_second > 0) line += "  " + std::to_string(std::llround(tokens_per_second)) + " tokens/s";
  if (fresh > 0) line += "  " + format_duration(left) + " left";
  TerminalLine terminal;
  line_ = line;
  terminal.draw(with_detail(line, detail));
}

void Progress::remark(const std::string& detail) {
  if (!terminal_) return;
  TerminalLine terminal;
  terminal.draw(with_detail(line_, detail));
}

void Progress::clear() { TerminalLine().wipe(); }

std::string format_duration(double seconds) {
  const auto total = static_cast<long long>(std::max(0.0, std::round(seconds)));
  char text[40];
  if (total >= 3600) {
    std::snprintf(text, sizeof text, "%lld:%02lld:%02lld", total / 3600, total / 60 % 60, total % 60);
  } else {
    std::snprintf(text, sizeof text, "%lld:%02lld", total / 60, total % 60);
  }
  return text;
}

std::string gigabytes(double bytes) { return printable(bytes / 1e9, "%.2f GB"); }

}  // namespace ddro
