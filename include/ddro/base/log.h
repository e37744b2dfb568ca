// Logging to stderr. Results never go through here: they are files or stdout.
#pragma once

#include <string_view>

namespace ddro {

enum class LogLevel { kDebug, kInfo, kWarning, kError, kOff };

void set_log_level(LogLevel level);
void log_debug(std::string_view message);
void log_info(std::string_view message);
void log_warning(std::string_view message);
void log_error(std::string_view message);

}  // namespace ddro
