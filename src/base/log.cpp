// The only file that includes spdlog: torch's headers bring another fmt, which clashes with spdlog's.
#include "ddro/base/log.h"

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <cstdlib>
#include <memory>
#include <string>

#include "base/terminal_line.h"

namespace ddro {
namespace {

spdlog::level::level_enum to_spdlog(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarning:
      return spdlog::level::warn;
    case LogLevel::kError:
      return spdlog::level::err;
    case LogLevel::kOff:
      return spdlog::level::off;
  }
  return spdlog::level::info;
}

spdlog::logger& logger() {
  static const auto instance = [] {
    const auto colours =
        std::getenv("NO_COLOR") == nullptr ? spdlog::color_mode::automatic : spdlog::color_mode::never;
    auto created = std::make_shared<spdlog::logger>(
        "ddro-train", std::make_shared<spdlog::sinks::stderr_color_sink_mt>(colours));
    created->set_pattern("%H:%M:%S %^%l%$ %v");
    created->flush_on(spdlog::level::debug);
    return created;
  }();
  return *instance;
}

std::string& prefix() {
  static std::string text;
  return text;
}

void log(LogLevel level, std::string_view message) {
  if (!logger().should_log(to_spdlog(level))) return;
  const std::string line = prefix() + std::string(message);
  TerminalLine terminal;
  terminal.wipe();
  logger().log(to_spdlog(level), spdlog::string_view_t(line.data(), line.size()));
}

}  // namespace

void set_log_level(LogLevel level) { logger().set_level(to_spdlog(level)); }
LogLevel log_level() {
  for (const LogLevel level : {LogLevel::kDebug, LogLevel::kInfo, LogLevel::kWarning, LogLevel::kError}) {
    if (logger().should_log(to_spdlog(level))) return level;
  }
  return LogLevel::kOff;
}
void set_log_prefix(const std::string& text) { prefix() = text; }
const std::string& log_prefix() { return prefix(); }
void log_debug(std::string_view message) { log(LogLevel::kDebug, message); }
void log_info(std::string_view message) { log(LogLevel::kInfo, message); }
void log_warning(std::string_view message) { log(LogLevel::kWarning, message); }
void log_error(std::string_view message) { log(LogLevel::kError, message); }

}  // namespace ddro
