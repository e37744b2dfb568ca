// The printable characters that byte-level tokenizers write for bytes.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace ddro::text {

// The character (UTF-8) that stands for `byte`: itself where it is printable Latin-1, else one from U+0100
// on.
const std::string& byte_character(unsigned char byte);

// Those of `bytes`, one after the other.
std::string byte_characters(std::string_view bytes);

// The bytes that `text` stands for, or nothing if it has a character outside the alphabet.
std::optional<std::string> bytes_behind(std::string_view text);

// The value of a byte-fallback token "<0xHH>", or -1.
int byte_fallback_value(std::string_view token);

// The token "<0xHH>".
std::string byte_fallback_token(unsigned char byte);

}  // namespace ddro::text
