#include "jinja/python_format.h"

#include <algorithm>
#include <cmath>

#include "ddro/base/error.h"
#include "ddro/base/utf8.h"
#include "jinja/integers.h"
#include "jinja/library.h"
#include "jinja/number_format.h"
#include "jinja/unicode.h"

namespace ddro::jinja {
namespace {

MarkedText cut(const MarkedText& text, int precision) {
  if (precision < 0) return text;
  return slice(text, 0, offset_of(text.text, static_cast<size_t>(precision)));
}

// '%...' % arguments.
class PercentFormat {
 public:
  PercentFormat(Machine& machine, const MarkedText& format, const Value& arguments)
      : machine_(machine), format_(format), text_(format.text), arguments_(arguments) {}

  Value run() {
    if (format_.markup) machine_.refuse("% on a string marked safe is not supported");
    while (position_ < text_.size()) {
      const size_t percent = std::min(text_.find('%', position_), text_.size());
      machine_.grow(out_, slice(format_, position_, percent));
      position_ = percent + 1;
      if (percent < text_.size()) conversion();
    }
    const bool is_tuple = arguments_.list() != nullptr && arguments_.list()->is_tuple();
    // To Python's % everything that can be indexed is a mapping, and may stay unused.
    const bool is_mapping = arguments_.dict() || arguments_.is_undefined() ||
                            (arguments_.list() && !is_tuple) || arguments_.object<Range>();
    const size_t given = is_tuple ? arguments_.list()->items.size() : is_mapping ? 0 : 1;
    if (used_ < given) machine_.fail("not all arguments converted during string formatting");
    return machine_.text(std::move(out_));
  }

 private:
  const Value& next_argument() {
    const List* list = arguments_.list();
    if (list != nullptr && list->is_tuple()) {
      if (used_ == list->items.size()) machine_.fail("not enough arguments for format string");
      return list->items[used_++];
    }
    if (used_++ > 0) machine_.fail("not enough arguments for format string");
    return arguments_;
  }

  char peek() const { return position_ < text_.size() ? text_[position_] : '\0'; }

  const Value& mapped_argument() {
    const size_t close = text_.find(')', position_);
    if (close == std::string::npos) machine_.fail("incomplete format key");
    if (arguments_.dict() == nullptr) machine_.fail("format requires a mapping");
    const std::string key = text_.substr(position_ + 1, close - position_ - 1);
    position_ = close + 1;
    const Value* found = arguments_.dict()->find(key);
    if (found == nullptr)
      machine_.fail("a format names the key " + printable(quote_text(key)) + ", which is not there");
    return *found;
  }

  void conversion() {
    const Value* argument = peek() == '(' ? &mapped_argument() : nullptr;
    FormatSpec spec;
    for (; std::string_view("-+ #0").find(peek()) != std::string_view::npos && peek() != '\0'; ++position_) {
      if (peek() == '-') spec.align = '<';
      if (peek() == '+' || (peek() == ' ' && spec.sign != '+')) spec.sign = peek();
      if (peek() == '#') spec.alternate = true;
      if (peek() == '0') spec.zero = true;
    }
    spec.width = read_number(machine_, text_, position_, kMaxFieldWidth);
    if (peek() == '.') {
      ++position_;
      spec.precision = static_cast<int>(read_number(machine_, text_, position_, kMaxPrecision));
    }
    if (spec.align == '<') spec.zero = false;
    spec.type = peek();
    if (spec.type == '\0') machine_.fail("incomplete format");
    ++position_;
    if (spec.type == '%') return append(out_, "%");
    convert(argument == nullptr ? next_argument() : *argument, spec);
  }

  void convert(const Value& value, FormatSpec& spec) {
    if (spec.type == 's' || spec.type == 'r') {
      const MarkedText text = spec.type == 's' ? to_text(machine_, value) : represent(machine_, value);
      return machine_.grow(
          out_, pad(machine_, cut(text, spec.precision), spec.width, spec.align == '<' ? '<' : '>'));
    }
    if (std::string_view("diuxXofFeEgG").find(spec.type) == std::string_view::npos) {
      machine_.refuse("the format %" + printable(std::string(1, spec.type)) + " is not supported");
    }
    if (!value.is_number()) {
      machine_.fail("%" + std::string(1, spec.type) + " format: a number is required, not " +
                    type_name(value));
    }
    const bool wants_integer = std::string_view("diuxXo").find(spec.type) != std::string_view::npos;
    if (!wants_integer) return machine_.grow(out_, format_number(machine_, value, spec));
    if (spec.precision >= 0) machine_.refuse("a precision of an integer is not supported");
    if (value.is_integer()) return machine_.grow(out_, format_number(machine_, value, spec));
    const bool decimal = spec.type == 'd' || spec.type == 'i' || spec.type == 'u';
    if (!decimal) machine_.fail("an integer is required for %" + std::string(1, spec.type));
    if (!std::isfinite(value.number())) machine_.fail("cannot convert float infinity or NaN to integer");
    machine_.grow(out_, format_number(machine_, truncate_real(value.number()), spec));
  }

  Machine& machine_;
  const MarkedText& format_;
  const std::string& text_;
  const Value& arguments_;
  size_t position_ = 0;
  size_t used_ = 0;
  MarkedText out_;
};

// '{...}'.format(arguments).
class BraceFormat {
 public:
  BraceFormat(Machine& machine, const MarkedText& format, const Arguments& arguments)
      : machine_(machine), format_(format), text_(format.text), arguments_(arguments) {}

  Value run() {
    if (format_.markup) machine_.refuse("format on a string marked safe is not supported");
    while (position_ < text_.size()) {
      const size_t brace = std::min(text_.find_first_of("{}", position_), text_.size());
      machine_.grow(out_, slice(format_, position_, brace));
      position_ = brace + 1;
      if (brace == text_.size()) break;
      if (position_ < text_.size() && text_[position_] == text_[brace]) {
        machine_.grow(out_, slice(format_, brace, brace + 1));
        ++position_;
      } else if (text_[brace] == '}') {
        machine_.fail("Single '}' encountered in format string");
      } else {
        field();
      }
    }
    return machine_.text(std::move(out_));
  }

 private:
  void field() {
    const size_t close = text_.find('}', position_);
    if (close == std::string::npos) machine_.fail("expected '}' before end of string");
    std::string_view inside = std::string_view(text_).substr(position_, close - position_);
    position_ = close + 1;
    if (inside.find('{') != std::string_view::npos) machine_.refuse("a nested format field is not supported");
    std::string_view spec;
    if (const size_t colon = inside.find(':'); colon != std::string_view::npos) {
      spec = inside.substr(colon + 1);
      inside = inside.substr(0, colon);
    }
    char conversion = 0;
    if (const size_t mark = inside.find('!'); mark != std::string_view::npos) {
      conversion = inside.size() == mark + 2 ? inside[mark + 1] : '?';
      inside = inside.substr(0, mark);
    }
    Value value = argument(inside);
    if (conversion == 's') value = machine_.text(to_text(machine_, value));
    if (conversion == 'r') value = machine_.text(represent(machine_, value));
    if (conversion != 0 && conversion != 's' && conversion != 'r') {
      machine_.refuse("the conversion of a format field is not supported");
    }
    machine_.grow(out_, formatted(value, spec));
  }

  Value argument(std::string_view path) {
    size_t end = std::min(path.find_first_of(".["), path.size());
    const std::string_view first = path.substr(0, end);
    Value value;
    if (first.empty() || (first[0] >= '0' && first[0] <= '9')) {
      size_t offset = 0;
      const auto index =
          first.empty() ? automatic_++ : static_cast<size_t>(read_number(machine_, first, offset, 9999));
      if (!first.empty() && offset != first.size()) machine_.fail("a format field has a bad name");
      if (index >= arguments_.positional.size()) {
        machine_.fail("Replacement index " + std::to_string(index) +
                      " out of range for positional args tuple");
      }
      value = arguments_.positional[index];
    } else {
      const auto found = std::find_if(arguments_.named.begin(), arguments_.named.end(),
                                      [&](const auto& named) { return named.first == first; });
      if (found == arguments_.named.end()) {
        machine_.fail("a format names " + printable(quote_text(first)) + ", which is not given");
      }
      value = found->second;
    }
    if (end != path.size()) machine_.refuse("attributes in a format field are not supported");
    return value;
  }

  FormatSpec parse_spec(std::string_view text) {
    FormatSpec spec;
    size_t offset = 0;
    size_t after_first = 0;
    if (!text.empty()) next_code_point(text, after_first);
    constexpr std::string_view kAligns = "<>^=";
    const auto at = [&](size_t i) { return i < text.size() ? text[i] : '\0'; };
    const auto is_align = [&](size_t i) {
      return i < text.size() && kAligns.find(text[i]) != std::string_view::npos;
    };
    if (is_align(after_first)) {
      spec.fill = std::string(text.substr(0, after_first));
      spec.align = text[after_first];
      offset = after_first + 1;
    } else if (is_align(0)) {
      spec.align = text[0];
      offset = 1;
    }
    if (at(offset) == '+' || at(offset) == '-' || at(offset) == ' ') spec.sign = text[offset++];
    if (at(offset) == '#') spec.alternate = ++offset != 0;
    if (at(offset) == '0') spec.zero = ++offset != 0;
    spec.width = read_number(machine_, text, offset, kMaxFieldWidth);
    if (at(offset) == ',' || at(offset) == '_') spec.grouping = text[offset++];
    if (at(offset) == '.') {
      spec.precision = static_cast<int>(read_number(machine_, text, ++offset, kMaxPrecision));
    }
    if (offset < text.size()) spec.type = text[offset++];
    if (offset != text.size()) machine_.fail("Invalid format specifier");
    return spec;
  }

  MarkedText formatted(const Value& value, std::string_view spec_text) {
    if (spec_text.empty()) return to_text(machine_, value);
    FormatSpec spec = parse_spec(spec_text);
    if (value.text() != nullptr) {
      if ((spec.type != 0 && spec.type != 's') || spec.align == '=' || spec.sign != '-' ||
          spec.grouping != 0) {
        machine_.fail("a format does not fit an object of type 'str'");
      }
      const std::string fill = !spec.fill.empty() ? spec.fill : spec.zero ? "0" : " ";
      return pad(machine_, cut(*value.text(), spec.precision), spec.width, spec.align == 0 ? '<' : spec.align,
                 fill);
    }
    if (!value.is_number()) {
      machine_.fail("unsupported format string passed to " + type_name(value) + ".__format__");
    }
    const bool fits =
        std::string_view("eEfFgG%").find(spec.type) != std::string_view::npos ||
        (value.is_integer() && std::string_view("dxXob").find(spec.type) != std::string_view::npos);
    const bool plain = spec.type == 0 && spec.precision < 0;
    if (!fits && !plain)
      machine_.refuse("the format " + printable(std::string(spec_text), 40) + " is not supported");
    if (value.is_integer() && spec.precision >= 0 &&
        std::string_view("dxXob").find(spec.type) != std::string_view::npos) {
      machine_.fail("Precision not allowed in integer format specifier");
    }
    return format_number(machine_, value, spec);
  }

  Machine& machine_;
  const MarkedText& format_;
  const std::string& text_;
  const Arguments& arguments_;
  size_t position_ = 0;
  size_t automatic_ = 0;
  MarkedText out_;
};

}  // namespace

Value format_percent(Machine& machine, const MarkedText& format, const Value& arguments) {
  return PercentFormat(machine, format, arguments).run();
}

Value format_braces(Machine& machine, const MarkedText& format, const Arguments& arguments) {
  return BraceFormat(machine, format, arguments).run();
}

MarkedText escape_html(const MarkedText& source) {
  MarkedText out = map_code_points(source, [](char32_t c, std::string& to) {
    switch (c) {
      case '&':
        to += "&amp;";
        break;
      case '<':
        to += "&lt;";
        break;
      case '>':
        to += "&gt;";
        break;
      case '\'':
        to += "&#39;";
        break;
      case '"':
        to += "&#34;";
        break;
      default:
        append_utf8(to, c);
    }
  });
  out.markup = true;
  return out;
}

MarkedText pad(Machine& machine, const MarkedText& text, std::int64_t width, char align,
               std::string_view fill) {
  const auto size = static_cast<std::int64_t>(count_code_points(text.text));
  if (width <= size) return text;
  const auto total = static_cast<std::uint64_t>(width - size);
  machine.charge_text(total * fill.size());
  // str.center puts an odd blank to the left when the width is odd; a format puts it to the right.
  const std::uint64_t odd = align == 'c' ? total & static_cast<std::uint64_t>(width) & 1 : 0;
  const std::uint64_t left = align == '<' ? 0 : align == '>' ? total : total / 2 + odd;
  MarkedText out;
  for (std::uint64_t i = 0; i < left; ++i) append(out, fill);
  append(out, text);
  for (std::uint64_t i = left; i < total; ++i) append(out, fill);
  return out;
}

}  // namespace ddro::jinja
