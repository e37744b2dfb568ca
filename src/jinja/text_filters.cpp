// Filters on one string or number.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <string>

#include "ddro/base/utf8.h"
#include "jinja/filters.h"
#include "jinja/integers.h"
#include "jinja/json_writer.h"
#include "jinja/number_parse.h"
#include "jinja/operators.h"
#include "jinja/parameters.h"
#include "jinja/python_format.h"
#include "jinja/text_functions.h"
#include "jinja/unicode.h"

namespace ddro::jinja {
namespace {

// jinja2's filter `title`: a capital after each run of the characters - ( { [ < and white space.
MarkedText title(const MarkedText& source) {
  MarkedText out;
  const std::string& text = source.text;
  const auto is_separator = [](char32_t c) {
    return is_space(c) || c == '-' || c == '(' || c == '{' || c == '[' || c == '<';
  };
  for (size_t begin = 0; begin < text.size();) {
    size_t first_end = begin;
    const bool separators = is_separator(next_code_point(text, first_end));
    size_t end = first_end;
    for (size_t next = end; next < text.size(); end = next) {
      if (is_separator(next_code_point(text, next)) != separators) break;
    }
    append(out, to_upper(slice(source, begin, first_end)));
    append(out, to_lower(slice(source, first_end, end)));
    begin = end;
  }
  out.markup = source.markup;
  return out;
}

template <MarkedText (*transform)(const MarkedText&)>
Value transform_filter(Machine& machine, const Value& self, Arguments& arguments) {
  const Parameters given(machine, "the filter", arguments, {});
  const MarkedText text = to_text(machine, self);
  machine.charge_text(text.text.size() * 2);
  return machine.text(transform(text));
}

Value trim_filter(Machine& machine, const Value& self, Arguments& arguments) {
  const Parameters given(machine, "trim", arguments, {"chars"});
  if (given.is_set(0) && given[0].text() == nullptr) machine.fail("strip arg must be None or str");
  const MarkedText* chars = given.is_set(0) ? given[0].text() : nullptr;
  return machine.text(strip(machine, to_text(machine, self), chars, Side::kBoth));
}

Value string_filter(Machine& machine, const Value& self, Arguments& arguments) {
  const Parameters given(machine, "string", arguments, {});
  return machine.text(to_text(machine, self));
}

Value safe_filter(Machine& machine, const Value& self, Arguments& arguments) {
  const Parameters given(machine, "safe", arguments, {});
  MarkedText text = to_text(machine, self);
  text.markup = true;
  return machine.text(std::move(text));
}

template <bool even_if_safe>
Value escape_filter(Machine& machine, const Value& self, Arguments& arguments) {
  const Parameters given(machine, "escape", arguments, {});
  const MarkedText text = to_text(machine, self);
  if (text.markup && !even_if_safe) return self;
  machine.charge_text(text.text.size() * 2);
  return machine.text(escape_html(text));
}

Value replace_filter(Machine& machine, const Value& self, Arguments& arguments) {
  const Parameters given(machine, "replace", arguments, {"old", "new", "count"}, 2);
  MarkedText text = to_text(machine, self);
  text.markup = false;
  const std::int64_t count = given.is_set(2) ? given.integer(2, -1) : -1;
  return machine.text(replace(machine, text, given.text(0, ""), given.text(1, ""), count));
}

Value center_filter(Machine& machine, const Value& self, Arguments& arguments) {
  const Parameters given(machine, "center", arguments, {"width"});
  return machine.text(pad(machine, to_text(machine, self), given.integer(0, 80), 'c'));
}

Value format_filter(Machine& machine, const Value& self, Arguments& arguments) {
  if (!arguments.positional.empty() && !arguments.named.empty()) {
    machine.fail("can't handle positional and keyword arguments at the same time");
  }
  Value values = machine.tuple(std::move(arguments.positional));
  if (!arguments.named.empty()) {
    Dict dict;
    for (const auto& [name, value] : arguments.named) dict.set(machine, machine.text(name), value);
    values = machine.dict(std::move(dict));
  }
  return format_percent(machine, to_text(machine, self), values);
}

Value indent_filter(Machine& machine, const Value& self, Arguments& arguments) {
  const Parameters given(machine, "indent", arguments, {"width", "first", "blank"});
  if (self.text() == nullptr) machine.fail("indent needs a string, got " + type_name(self));
  MarkedText indention;
  if (given.has(0) && given[0].text() != nullptr) {
    indention = *given[0].text();
  } else {
    indention = pad(machine, {}, given.integer(0, 4), '>');
  }
  MarkedText source = *self.text();
  append(source, "\n");
  MarkedText out;
  bool first = true;
  for (const MarkedText& line : split_lines(source, false)) {
    if (!first) append(out, "\n");
    const bool indented = first ? given.truth_of(1) : given.truth_of(2) || !line.text.empty();
    if (indented) machine.grow(out, indention);
    machine.grow(out, line);
    first = false;
  }
  out.markup = self.text()->markup;
  return machine.text(std::move(out));
}

Value truncate_filter(Machine& machine, const Value& self, Arguments& arguments) {
  const Parameters given(machine, "truncate", arguments, {"length", "killwords", "end", "leeway"});
  if (self.text() == nullptr) machine.fail("truncate needs a string, got " + type_name(self));
  const MarkedText end = given.text(2, "...");
  const std::int64_t length_limit = given.integer(0, 255);
  const std::int64_t leeway = given.is_set(3) ? given.integer(3, 5) : 5;
  const auto end_size = static_cast<std::int64_t>(count_code_points(end.text));
  if (length_limit < end_size || leeway < 0) machine.fail("truncate has a bad length or leeway");
  if (length(machine, self) <= length_limit + std::min<std::int64_t>(leeway, 1 << 30)) return self;
  MarkedText kept =
      slice(*self.text(), 0, offset_of(self.text()->text, static_cast<size_t>(length_limit - end_size)));
  if (!given.truth_of(1)) kept = slice(kept, 0, std::min(kept.text.rfind(' '), kept.text.size()));
  append(kept, end);
  return machine.text(std::move(kept));
}

Value wordcount_filter(Machine& machine, const Value& self, Arguments& arguments) {
  const Parameters given(machine, "wordcount", arguments, {});
  const MarkedText text = to_text(machine, self);
  machine.charge(text.text.size() / 4);
  std::int64_t count = 0;
  bool in_word = false;
  for (size_t offset = 0; offset < text.text.size();) {
    const char32_t c = next_code_point(text.text, offset);
    const bool word = is_alpha(c) || is_numeric(c) || is_digit(c) || c == '_';
    count += word && !in_word ? 1 : 0;
    in_word = word;
  }
  return {count};
}

void fail_if_undefined(Machine& machine, const Value& value) {
  if (const auto* nothing = std::get_if<Undefined>(&value.data)) machine.fail(*nothing->problem);
}

Value whole(Machine& machine, double value) {
  if (!std::isfinite(value)) machine.fail("cannot convert float infinity to integer");
  return truncate_real(value);
}

Value int_filter(Machine& machine, const Value& self, Arguments& arguments) {
  const Parameters given(machine, "int", arguments, {"default", "base"});
  fail_if_undefined(machine, self);
  const Value otherwise = given.has(0) ? given[0] : Value{std::int64_t{0}};
  if (self.is_integer()) return plus(machine, self);
  if (const double* real = self.real()) return std::isnan(*real) ? otherwise : whole(machine, *real);
  if (self.text() == nullptr) return otherwise;
  const std::int64_t base = given.integer(1, 10);
  if (base != 2 && base != 8 && base != 10 && base != 16)
    machine.refuse("int with this base is not supported");
  if (const auto value = parse_integer(machine, self.text()->text, static_cast<int>(base))) return *value;
  const auto real = parse_real(self.text()->text);
  return real && std::isfinite(*real) ? whole(machine, *real) : otherwise;
}

Value float_filter(Machine& machine, const Value& self, Arguments& arguments) {
  const Parameters given(machine, "float", arguments, {"default"});
  fail_if_undefined(machine, self);
  if (self.big_integer() && std::isinf(self.number())) machine.fail("int too large to convert to float");
  if (self.is_number()) return {self.number()};
  const auto real = self.text() == nullptr ? std::nullopt : parse_real(self.text()->text);
  return real ? Value{*real} : given.has(0) ? given[0] : Value{0.0};
}

Value abs_filter(Machine& machine, const Value& self, Arguments& arguments) {
  const Parameters given(machine, "abs", arguments, {});
  if (const double* real = self.real()) return {std::abs(*real)};
  if (!self.is_integer()) machine.fail("bad operand type for abs(): '" + type_name(self) + "'");
  return absolute_integer(machine, self);
}

double round_real(Machine& machine, double value, std::int64_t precision) {
  if (precision < 0 || precision > 300) machine.refuse("round with this precision is not supported");
  if (!std::isfinite(value)) return value;
  char buffer[700];
  std::snprintf(buffer, sizeof buffer, "%.*f", static_cast<int>(precision), value);
  return std::strtod(buffer, nullptr);
}

Value round_filter(Machine& machine, const Value& self, Arguments& arguments) {
  const Parameters given(machine, "round", arguments, {"precision", "method"});
  const std::int64_t precision = given.integer(0, 0);
  const std::string method = given.text(1, "common").text;
  if (!self.is_number()) {
    fail_if_undefined(machine, self);
    machine.fail("type " + type_name(self) + " doesn't define __round__ method");
  }
  if (method == "common") {
    if (!self.is_integer()) return {round_real(machine, self.number(), precision)};
    if (precision < 0) machine.refuse("round with this precision is not supported");
    return plus(machine, self);
  }
  if (method != "ceil" && method != "floor") machine.fail("method must be common, ceil or floor");
  if (precision < 0 || precision > 15) machine.refuse("round with this precision is not supported");
  const double scale = std::pow(10.0, static_cast<double>(precision));
  const double scaled = self.number() * scale;
  return {(method == "ceil" ? std::ceil(scaled) : std::floor(scaled)) / scale};
}

Value tojson_filter(Machine& machine, const Value& self, Arguments& arguments) {
  const Parameters given(machine, "tojson", arguments, {"ensure_ascii", "indent", "separators", "sort_keys"});
  JsonStyle style;
  style.ensure_ascii = given.truth_of(0);
  style.sort_keys = given.truth_of(3);
  if (given.is_set(1)) {
    const MarkedText* text = given[1].text();
    style.indent = text != nullptr ? text->text : pad(machine, {}, given.integer(1, 0), '>').text;
  }
  style.item_separator = make_text(style.indent ? "," : ", ", false);
  style.key_separator = make_text(": ", false);
  if (given.is_set(2)) {
    const ListRef parts = iterate(machine, given[2]);
    if (parts->items.size() != 2 || !parts->items[0].text() || !parts->items[1].text()) {
      machine.fail("tojson needs two strings as separators");
    }
    style.item_separator = *parts->items[0].text();
    style.key_separator = *parts->items[1].text();
  }
  return machine.text(write_json(machine, self, style));
}

constexpr NamedNative kFilters[] = {
    {"abs", abs_filter},
    {"capitalize", transform_filter<to_capital>},
    {"center", center_filter},
    {"e", escape_filter<false>},
    {"escape", escape_filter<false>},
    {"float", float_filter},
    {"forceescape", escape_filter<true>},
    {"format", format_filter},
    {"indent", indent_filter},
    {"int", int_filter},
    {"lower", transform_filter<to_lower>},
    {"replace", replace_filter},
    {"round", round_filter},
    {"safe", safe_filter},
    {"string", string_filter},
    {"title", transform_filter<title>},
    {"tojson", tojson_filter},
    {"trim", trim_filter},
    {"truncate", truncate_filter},
    {"upper", transform_filter<to_upper>},
    {"wordcount", wordcount_filter},
};

}  // namespace

Native find_text_filter(std::string_view name) { return find_native(kFilters, name); }

}  // namespace ddro::jinja
