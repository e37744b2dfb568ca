#include "jinja/text_functions.h"

#include <algorithm>

#include "ddro/base/utf8.h"
#include "jinja/unicode.h"

namespace ddro::jinja {
namespace {

bool holds(const MarkedText& chars, char32_t c) {
  for (size_t offset = 0; offset < chars.text.size();) {
    if (next_code_point(chars.text, offset) == c) return true;
  }
  return false;
}

// `replace` of the empty string: between all code points.
MarkedText interleave(Machine& machine, const MarkedText& source, const MarkedText& to, std::int64_t count) {
  MarkedText out;
  size_t offset = 0;
  while (count != 0) {
    machine.grow(out, to);
    --count;
    if (offset == source.text.size()) return out;
    const size_t begin = offset;
    next_code_point(source.text, offset);
    machine.grow(out, slice(source, begin, offset));
  }
  machine.grow(out, slice(source, offset, source.text.size()));
  return out;
}

}  // namespace

MarkedText strip(Machine& machine, const MarkedText& source, const MarkedText* chars, Side side) {
  const auto is_stripped = [&](char32_t c) {
    if (chars == nullptr) return is_space(c);
    machine.charge(1 + chars->text.size() / 16);
    return holds(*chars, c);
  };
  size_t begin = 0;
  size_t end = source.text.size();
  while (side != Side::kRight && begin < end) {
    size_t next = begin;
    if (!is_stripped(next_code_point(source.text, next))) break;
    begin = next;
  }
  while (side != Side::kLeft && begin < end) {
    size_t previous = end;
    if (!is_stripped(previous_code_point(source.text, previous))) break;
    end = previous;
  }
  return slice(source, begin, end);
}

MarkedText replace(Machine& machine, const MarkedText& source, const MarkedText& from, const MarkedText& to,
                   std::int64_t count) {
  machine.charge(1 + source.text.size() / 16);
  if (from.text.empty()) return interleave(machine, source, to, count);
  MarkedText out;
  size_t offset = 0;
  while (count != 0) {
    const size_t found = source.text.find(from.text, offset);
    if (found == std::string::npos) break;
    machine.grow(out, slice(source, offset, found));
    machine.grow(out, to);
    offset = found + from.text.size();
    --count;
  }
  machine.grow(out, slice(source, offset, source.text.size()));
  return out;
}

std::vector<Value> split_space(Machine& machine, const MarkedText& source, std::int64_t most) {
  std::vector<Value> out;
  const std::string_view text = source.text;
  size_t offset = strip_begin(text);
  while (offset < text.size()) {
    size_t end = offset;
    size_t next = offset;
    const bool last = most >= 0 && static_cast<std::int64_t>(out.size()) == most;
    if (last) end = next = text.size();
    while (end < text.size()) {
      const char32_t c = next_code_point(text, next);
      if (is_space(c)) break;
      end = next;
    }
    out.push_back(machine.text(slice(source, offset, end)));
    offset = end + strip_begin(text.substr(end));
  }
  return out;
}

std::vector<Value> split_space_from_right(Machine& machine, const MarkedText& source, std::int64_t most) {
  std::vector<Value> out;
  const std::string_view text = source.text;
  size_t end = strip_end(text);
  while (end > 0) {
    size_t begin = end;
    const bool last = most >= 0 && static_cast<std::int64_t>(out.size()) == most;
    if (last) begin = 0;
    while (!last && begin > 0) {
      size_t previous = begin;
      if (is_space(previous_code_point(text, previous))) break;
      begin = previous;
    }
    out.push_back(machine.text(slice(source, begin, end)));
    end = last ? 0 : strip_end(text.substr(0, begin));
  }
  std::reverse(out.begin(), out.end());
  return out;
}

std::vector<Value> split_at(Machine& machine, const MarkedText& source, std::string_view separator,
                            std::int64_t most) {
  std::vector<Value> out;
  machine.charge(source.text.size() / 16);
  size_t offset = 0;
  while (most < 0 || static_cast<std::int64_t>(out.size()) < most) {
    const size_t found = source.text.find(separator, offset);
    if (found == std::string::npos) break;
    out.push_back(machine.text(slice(source, offset, found)));
    offset = found + separator.size();
  }
  out.push_back(machine.text(slice(source, offset, source.text.size())));
  return out;
}

std::vector<Value> split_at_from_right(Machine& machine, const MarkedText& source, std::string_view separator,
                                       std::int64_t most) {
  std::vector<Value> out;
  machine.charge(source.text.size() / 16);
  size_t end = source.text.size();
  while (end >= separator.size() && (most < 0 || static_cast<std::int64_t>(out.size()) < most)) {
    const size_t found = source.text.rfind(separator, end - separator.size());
    if (found == std::string::npos) break;
    out.push_back(machine.text(slice(source, found + separator.size(), end)));
    end = found;
  }
  out.push_back(machine.text(slice(source, 0, end)));
  std::reverse(out.begin(), out.end());
  return out;
}

std::vector<MarkedText> split_lines(const MarkedText& source, bool keep_ends) {
  std::vector<MarkedText> out;
  const std::string_view text = source.text;
  size_t begin = 0;
  for (size_t offset = 0; offset < text.size();) {
    const size_t end = offset;
    const char32_t c = next_code_point(text, offset);
    if (!is_line_break(c)) continue;
    if (c == '\r' && offset < text.size() && text[offset] == '\n') ++offset;
    out.push_back(slice(source, begin, keep_ends ? offset : end));
    begin = offset;
  }
  if (begin < text.size()) out.push_back(slice(source, begin, text.size()));
  return out;
}

MarkedText join(Machine& machine, const MarkedText& separator, const std::vector<MarkedText>& pieces) {
  MarkedText out;
  for (size_t i = 0; i < pieces.size(); ++i) {
    if (i > 0) machine.grow(out, separator);
    machine.grow(out, pieces[i]);
  }
  return out;
}

}  // namespace ddro::jinja
