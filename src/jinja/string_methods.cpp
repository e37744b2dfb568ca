#include <algorithm>
#include <string>

#include "ddro/base/utf8.h"
#include "jinja/methods.h"
#include "jinja/parameters.h"
#include "jinja/python_format.h"
#include "jinja/text_functions.h"
#include "jinja/unicode.h"

namespace ddro::jinja {
namespace {

const MarkedText& require_text(Machine& machine, const char* method, const Value& value) {
  if (value.text() == nullptr) machine.fail(std::string(method) + " needs a string, got " + type_name(value));
  return *value.text();
}

template <Side side>
Value strip_method(Machine& machine, const Value& self, Arguments& arguments) {
  const Parameters given(machine, "strip", arguments, {"chars"});
  const MarkedText* chars = given.is_set(0) ? &require_text(machine, "strip", given[0]) : nullptr;
  return machine.text(strip(machine, *self.text(), chars, side));
}

template <bool from_right>
Value split_method(Machine& machine, const Value& self, Arguments& arguments) {
  const Parameters given(machine, "split", arguments, {"sep", "maxsplit"});
  const std::int64_t most = given.integer(1, -1);
  machine.charge(1 + self.text()->text.size() / 16);
  if (!given.is_set(0)) {
    return machine.list(from_right ? split_space_from_right(machine, *self.text(), most)
                                   : split_space(machine, *self.text(), most));
  }
  const std::string& separator = require_text(machine, "split", given[0]).text;
  if (separator.empty()) machine.fail("empty separator");
  return machine.list(from_right ? split_at_from_right(machine, *self.text(), separator, most)
                                 : split_at(machine, *self.text(), separator, most));
}

Value splitlines_method(Machine& machine, const Value& self, Arguments& arguments) {
  const Parameters given(machine, "splitlines", arguments, {"keepends"});
  machine.charge(1 + self.text()->text.size() / 16);
  std::vector<Value> lines;
  for (MarkedText& line : split_lines(*self.text(), given.truth_of(0)))
    lines.push_back(machine.text(std::move(line)));
  return machine.list(std::move(lines));
}

// self[start:end] for the methods that take these two, as bytes of the text.
struct Window {
  size_t begin, end;
  std::string_view text;
  bool past_end;  // start lies behind the end: nothing is found there, not even the empty string
};

Window window(Machine& machine, const Value& self, const Parameters& given) {
  const std::string_view text = self.text()->text;
  machine.charge(1 + text.size() / 16);
  if (!given.is_set(1) && !given.is_set(2)) return {0, text.size(), text, false};
  const auto size = static_cast<std::int64_t>(count_code_points(text));
  const auto absolute = [&](std::int64_t index) {
    return index < 0 ? std::max<std::int64_t>(index + size, 0) : index;
  };
  const std::int64_t start = absolute(given.is_set(1) ? given.integer(1, 0) : 0);
  const std::int64_t stop = std::min(absolute(given.is_set(2) ? given.integer(2, 0) : size), size);
  if (start > stop) return {0, 0, {}, true};
  const size_t begin = offset_of(text, static_cast<size_t>(start));
  const size_t end = offset_of(text, static_cast<size_t>(stop));
  return {begin, end, text.substr(begin, end - begin), false};
}

template <bool at_end>
Value affix_method(Machine& machine, const Value& self, Arguments& arguments) {
  const char* name = at_end ? "endswith" : "startswith";
  const Parameters given(machine, name, arguments, {"prefix", "start", "end"}, 1);
  const Window range = window(machine, self, given);
  const auto matches = [&](const Value& affix) {
    const std::string& text = require_text(machine, name, affix).text;
    return !range.past_end && (at_end ? range.text.ends_with(text) : range.text.starts_with(text));
  };
  const List* several = given[0].list();
  if (several == nullptr || !several->is_tuple()) return {matches(given[0])};
  return {std::any_of(several->items.begin(), several->items.end(), matches)};
}

template <bool from_right, bool must_exist>
Value find_method(Machine& machine, const Value& self, Arguments& arguments) {
  const Parameters given(machine, "find", arguments, {"sub", "start", "end"}, 1);
  const Window range = window(machine, self, given);
  const std::string& wanted = require_text(machine, "find", given[0]).text;
  size_t found = std::string::npos;
  if (!range.past_end) found = from_right ? range.text.rfind(wanted) : range.text.find(wanted);
  if (found == std::string::npos) {
    if (must_exist) machine.fail("substring not found");
    return {std::int64_t{-1}};
  }
  const std::string_view before = std::string_view(self.text()->text).substr(0, range.begin + found);
  return {static_cast<std::int64_t>(count_code_points(before))};
}

Value count_method(Machine& machine, const Value& self, Arguments& arguments) {
  const Parameters given(machine, "count", arguments, {"sub", "start", "end"}, 1);
  const Window range = window(machine, self, given);
  const std::string& wanted = require_text(machine, "count", given[0]).text;
  std::int64_t count = 0;
  if (range.past_end) return {count};
  if (wanted.empty()) return {static_cast<std::int64_t>(count_code_points(range.text)) + 1};
  for (size_t offset = range.text.find(wanted); offset != std::string::npos;
       offset = range.text.find(wanted, offset + wanted.size())) {
    ++count;
  }
  return {count};
}

Value replace_method(Machine& machine, const Value& self, Arguments& arguments) {
  const Parameters given(machine, "replace", arguments, {"old", "new", "count"}, 2);
  return machine.text(replace(machine, *self.text(), require_text(machine, "replace", given[0]),
                              require_text(machine, "replace", given[1]), given.integer(2, -1)));
}

Value join_method(Machine& machine, const Value& self, Arguments& arguments) {
  const Parameters given(machine, "join", arguments, {"iterable"}, 1);
  std::vector<MarkedText> pieces;
  const ListRef items = iterate(machine, given[0]);
  for (const Value& item : items->items) pieces.push_back(require_text(machine, "join", item));
  return machine.text(join(machine, *self.text(), pieces));
}

Value format_method(Machine& machine, const Value& self, Arguments& arguments) {
  return format_braces(machine, *self.text(), arguments);
}

template <MarkedText (*transform)(const MarkedText&)>
Value transform_method(Machine& machine, const Value& self, Arguments& arguments) {
  const Parameters given(machine, "the method", arguments, {});
  machine.charge_text(self.text()->text.size() * 2);
  return machine.text(transform(*self.text()));
}

// Whether the text is not empty and each code point is one.
template <bool (*is_one)(char32_t)>
Value all_method(Machine& machine, const Value& self, Arguments& arguments) {
  const Parameters given(machine, "the method", arguments, {});
  const std::string& text = self.text()->text;
  machine.charge(1 + text.size() / 16);
  for (size_t offset = 0; offset < text.size();) {
    if (!is_one(next_code_point(text, offset))) return {false};
  }
  return {!text.empty()};
}

bool is_alphanumeric(char32_t c) { return is_alpha(c) || is_numeric(c) || is_digit(c); }

template <bool wants_upper>
Value case_method(Machine& machine, const Value& self, Arguments& arguments) {
  const Parameters given(machine, "the method", arguments, {});
  return {is_all_case(machine, self.text()->text, wants_upper)};
}

Value isascii_method(Machine& machine, const Value& self, Arguments& arguments) {
  const Parameters given(machine, "isascii", arguments, {});
  const std::string& text = self.text()->text;
  machine.charge(1 + text.size() / 64);
  return {std::all_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; })};
}

template <bool at_end>
Value remove_method(Machine& machine, const Value& self, Arguments& arguments) {
  const Parameters given(machine, "removeprefix", arguments, {"prefix"}, 1);
  const std::string& affix = require_text(machine, "removeprefix", given[0]).text;
  const MarkedText& text = *self.text();
  const size_t size = text.text.size();
  if (at_end) return text.text.ends_with(affix) ? machine.text(slice(text, 0, size - affix.size())) : self;
  return text.text.starts_with(affix) ? machine.text(slice(text, affix.size(), size)) : self;
}

template <bool from_right>
Value partition_method(Machine& machine, const Value& self, Arguments& arguments) {
  const Parameters given(machine, "partition", arguments, {"sep"}, 1);
  const std::string& separator = require_text(machine, "partition", given[0]).text;
  if (separator.empty()) machine.fail("empty separator");
  const MarkedText& text = *self.text();
  machine.charge(1 + text.text.size() / 16);
  const size_t found = from_right ? text.text.rfind(separator) : text.text.find(separator);
  const Value nothing = machine.text(slice(text, 0, 0));
  if (found == std::string::npos) {
    return machine.tuple(from_right ? std::vector<Value>{nothing, nothing, self}
                                    : std::vector<Value>{self, nothing, nothing});
  }
  const size_t after = found + separator.size();
  return machine.tuple({machine.text(slice(text, 0, found)), machine.text(slice(text, found, after)),
                        machine.text(slice(text, after, text.text.size()))});
}

template <char align>
Value pad_method(Machine& machine, const Value& self, Arguments& arguments) {
  const Parameters given(machine, "center", arguments, {"width", "fillchar"}, 1);
  const std::string fill = given.has(1) ? require_text(machine, "center", given[1]).text : " ";
  if (count_code_points(fill) != 1) machine.fail("The fill character must be exactly one character long");
  return machine.text(pad(machine, *self.text(), given.integer(0, 0), align, fill));
}

Value zfill_method(Machine& machine, const Value& self, Arguments& arguments) {
  const Parameters given(machine, "zfill", arguments, {"width"}, 1);
  const MarkedText& text = *self.text();
  const size_t sign = text.text.starts_with('+') || text.text.starts_with('-') ? 1 : 0;
  MarkedText out = slice(text, 0, sign);
  machine.grow(out, pad(machine, slice(text, sign, text.text.size()),
                        given.integer(0, 0) - static_cast<std::int64_t>(sign), '>', "0"));
  return machine.text(std::move(out));
}

constexpr NamedNative kMethods[] = {
    {"capitalize", transform_method<to_capital>},
    {"center", pad_method<'c'>},
    {"count", count_method},
    {"endswith", affix_method<true>},
    {"find", find_method<false, false>},
    {"format", format_method},
    {"index", find_method<false, true>},
    {"isalnum", all_method<is_alphanumeric>},
    {"isalpha", all_method<is_alpha>},
    {"isascii", isascii_method},
    {"isdecimal", all_method<is_decimal>},
    {"isdigit", all_method<is_digit>},
    {"islower", case_method<false>},
    {"isspace", all_method<is_space>},
    {"isupper", case_method<true>},
    {"join", join_method},
    {"ljust", pad_method<'<'>},
    {"lower", transform_method<to_lower>},
    {"lstrip", strip_method<Side::kLeft>},
    {"partition", partition_method<false>},
    {"removeprefix", remove_method<false>},
    {"removesuffix", remove_method<true>},
    {"replace", replace_method},
    {"rfind", find_method<true, false>},
    {"rindex", find_method<true, true>},
    {"rjust", pad_method<'>'>},
    {"rpartition", partition_method<true>},
    {"rsplit", split_method<true>},
    {"rstrip", strip_method<Side::kRight>},
    {"split", split_method<false>},
    {"splitlines", splitlines_method},
    {"startswith", affix_method<false>},
    {"strip", strip_method<Side::kBoth>},
    {"title", transform_method<to_title>},
    {"upper", transform_method<to_upper>},
    {"zfill", zfill_method},
};

}  // namespace

Native find_string_method(std::string_view name) { return find_native(kMethods, name); }

bool is_all_case(Machine& machine, std::string_view text, bool wants_upper) {
  machine.charge(1 + text.size() / 16);
  bool any = false;
  for (size_t offset = 0; offset < text.size();) {
    const char32_t c = next_code_point(text, offset);
    if (is_title(c) || (wants_upper ? is_lower(c) : is_upper(c))) return false;
    any = any || is_upper(c) || is_lower(c);
  }
  return any;
}

}  // namespace ddro::jinja
