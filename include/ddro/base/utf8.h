// UTF-8 without a locale.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace ddro {

// Offset of the first byte that is not valid UTF-8 (overlong forms, surrogates and > U+10FFFF included), or
// npos.
size_t find_invalid_utf8(std::string_view text);

// Decodes the code point that begins at `offset` of valid UTF-8 and moves `offset` past it.
char32_t next_code_point(std::string_view text, size_t& offset);

void append_utf8(std::string& out, char32_t code_point);

}  // namespace ddro
