// Keys that a configuration sets although its other settings leave them without effect.
#pragma once

#include "config/reader.h"

namespace ddro::config {

// Logs a warning for each of `places` that nothing will read: where it was set, and why it is not read.
void warn_of_unread_keys(const RunConfig& config, const Places& places);

}  // namespace ddro::config
