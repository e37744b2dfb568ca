// Bytes that a text file writes in base64 (RFC 4648, section 4).
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace ddro::text {

// Nothing for what is not base64 to its end, padding included.
std::optional<std::string> decode_base64(std::string_view text);

}  // namespace ddro::text
