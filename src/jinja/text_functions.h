// Python's string functions on marked text. Pieces of a text keep their marks.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "jinja/machine.h"
#include "jinja/marked_text.h"

namespace ddro::jinja {

enum class Side { kBoth, kLeft, kRight };

// Without white space, or without the characters of `*chars`, on a side.
MarkedText strip(Machine& machine, const MarkedText& source, const MarkedText* chars, Side side);
// count < 0: all.
MarkedText replace(Machine& machine, const MarkedText& source, const MarkedText& from, const MarkedText& to,
                   std::int64_t count);
std::vector<Value> split_space(Machine& machine, const MarkedText& source, std::int64_t most);
std::vector<Value> split_at(Machine& machine, const MarkedText& source, std::string_view separator,
                            std::int64_t most);
std::vector<Value> split_space_from_right(Machine& machine, const MarkedText& source, std::int64_t most);
std::vector<Value> split_at_from_right(Machine& machine, const MarkedText& source, std::string_view separator,
                                       std::int64_t most);
std::vector<MarkedText> split_lines(const MarkedText& source, bool keep_ends);
MarkedText join(Machine& machine, const MarkedText& separator, const std::vector<MarkedText>& pieces);

}  // namespace ddro::jinja
