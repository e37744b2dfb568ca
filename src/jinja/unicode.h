// Python's view of characters and of positions in strings.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "jinja/marked_text.h"

namespace ddro::jinja {

// str.isspace of one character; also what `\s` matches.
bool is_space(char32_t c);
// Where str.splitlines splits.
bool is_line_break(char32_t c);
// str.isprintable of one character.
bool is_printable(char32_t c);
bool is_alpha(char32_t c);
bool is_decimal(char32_t c);
bool is_digit(char32_t c);
bool is_numeric(char32_t c);
bool is_upper(char32_t c);
bool is_lower(char32_t c);
bool is_title(char32_t c);

MarkedText to_upper(const MarkedText& source);
MarkedText to_lower(const MarkedText& source);
// The first character in title case, the rest in lower case.
MarkedText to_capital(const MarkedText& source);
// str.title: a capital after each character without case.
MarkedText to_title(const MarkedText& source);

size_t count_code_points(std::string_view text);
// Byte offset of the code point with that index; text.size() past the end.
size_t offset_of(std::string_view text, size_t index);
// The last code point that begins before `offset` > 0; moves `offset` to its begin.
char32_t previous_code_point(std::string_view text, size_t& offset);

// text.rstrip() and lstrip() as byte offsets.
size_t strip_begin(std::string_view text);
size_t strip_end(std::string_view text);

}  // namespace ddro::jinja
