// Logging to stderr. Results never go through here: they are files or stdout.
#pragma once

#include <string>
#include <string_view>

namespace ddro {

enum class LogLevel { kDebug, kInfo, kWarning, kError, kOff };

void set_log_level(LogLevel level);
LogLevel log_level();
// What each message begins with, such as "rank 1: "; empty at first.
void set_log_prefix(const std::string& prefix);
const std::string& log_prefix();
void log_debug(std::string_view message);
void log_info(std::string_view message);
void log_warning(std::string_view message);
void log_error(std::string_view message);

}  // namespace ddro
