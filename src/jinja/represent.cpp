// str() and repr() of values.
#include <charconv>
#include <cmath>
#include <cstdio>
#include <utility>

#include "ddro/base/utf8.h"
#include "jinja/integers.h"
#include "jinja/machine.h"
#include "jinja/objects.h"
#include "jinja/unicode.h"

namespace ddro::jinja {
namespace {

char quote_for(std::string_view text) {
  const bool single = text.find('\'') != std::string_view::npos;
  return single && text.find('"') == std::string_view::npos ? '"' : '\'';
}

void write_quoted(char32_t c, char quote, std::string& out) {
  char buffer[16];
  switch (c) {
    case '\n':
      out += "\\n";
      return;
    case '\r':
      out += "\\r";
      return;
    case '\t':
      out += "\\t";
      return;
    case '\\':
      out += "\\\\";
      return;
    default:
      break;
  }
  if (c == static_cast<char32_t>(quote)) {
    out += {'\\', quote};
  } else if (is_printable(c)) {
    append_utf8(out, c);
  } else {
    const char* format = c < 0x100 ? "\\x%02x" : c < 0x10000 ? "\\u%04x" : "\\U%08x";
    std::snprintf(buffer, sizeof buffer, format, static_cast<unsigned>(c));
    out += buffer;
  }
}

MarkedText represent_text(const MarkedText& source) {
  const char quote = quote_for(source.text);
  MarkedText out;
  append(out, source.markup ? "Markup(" : "");
  append(out, std::string_view(&quote, 1));
  append(out, map_code_points(source, [quote](char32_t c, std::string& to) { write_quoted(c, quote, to); }));
  append(out, std::string_view(&quote, 1));
  append(out, source.markup ? ")" : "");
  return out;
}

MarkedText represent_items(Machine& machine, const List& list) {
  MarkedText out;
  append(out, list.is_tuple() ? "(" : "[");
  for (size_t i = 0; i < list.items.size(); ++i) {
    if (i > 0) append(out, ", ");
    machine.grow(out, represent(machine, list.items[i]));
  }
  append(out, !list.is_tuple() ? "]" : list.items.size() == 1 ? ",)" : ")");
  return out;
}

MarkedText represent_dict(Machine& machine, const Dict& dict) {
  MarkedText out;
  append(out, "{");
  bool first = true;
  for (const auto& [key, value] : dict.entries()) {
    if (!std::exchange(first, false)) append(out, ", ");
    machine.grow(out, represent(machine, key));
    append(out, ": ");
    machine.grow(out, represent(machine, value));
  }
  append(out, "}");
  return out;
}

MarkedText represent_view(Machine& machine, const Value& value, const DictView& view) {
  MarkedText out;
  append(out, view.kind == DictView::Kind::kKeys     ? "dict_keys("
              : view.kind == DictView::Kind::kValues ? "dict_values("
                                                     : "dict_items(");
  machine.grow(out, represent_items(machine, *iterate(machine, value)));
  append(out, ")");
  return out;
}

MarkedText represent_object(Machine& machine, const Value& value) {
  if (const auto* view = value.object<DictView>()) return represent_view(machine, value, *view);
  if (const auto* names = value.object<Namespace>()) {
    MarkedText out;
    append(out, "<Namespace ");
    machine.grow(out, represent_dict(machine, names->attributes));
    append(out, ">");
    return out;
  }
  std::string out;
  if (const auto* range = value.object<Range>()) {
    out = "range(" + std::to_string(range->start) + ", " + std::to_string(range->stop);
    if (range->step != 1) out += ", " + std::to_string(range->step);
    return make_text(out + ")", false);
  }
  if (auto* loop = value.object<Loop>()) {
    return make_text(
        "<LoopContext " + std::to_string(loop->index0 + 1) + "/" + std::to_string(loop->length()) + ">",
        false);
  }
  machine.fail("a value of type " + type_name(value) + " cannot be printed");
}

}  // namespace

std::string quote_text(std::string_view text) {
  return represent_text(make_text(std::string(text), false)).text;
}

std::string represent_real(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  char buffer[64];
  const double size = std::abs(value);
  const bool fixed = size == 0 || (size >= 1e-4 && size < 1e16);
  const auto format = fixed ? std::chars_format::fixed : std::chars_format::scientific;
  const auto result = std::to_chars(buffer, buffer + sizeof buffer, value, format);
  std::string out(buffer, result.ptr);
  return fixed && out.find('.') == std::string::npos ? out + ".0" : out;
}

MarkedText represent(Machine& machine, const Value& value) {
  const Machine::Level level(machine);
  machine.charge(1);
  if (value.is_none()) return make_text("None", false);
  if (value.is_undefined()) return make_text("Undefined", false);
  if (const bool* boolean = value.boolean()) return make_text(*boolean ? "True" : "False", false);
  if (value.is_integer()) return make_text(write_integer(machine, value), false);
  if (const double* real = value.real()) return make_text(represent_real(*real), false);
  if (const MarkedText* text = value.text()) {
    machine.charge_text(text->text.size());
    return represent_text(*text);
  }
  if (const List* list = value.list()) return represent_items(machine, *list);
  if (const Dict* dict = value.dict()) return represent_dict(machine, *dict);
  return represent_object(machine, value);
}

MarkedText to_text(Machine& machine, const Value& value) {
  if (const MarkedText* text = value.text()) return *text;
  if (value.is_undefined()) return {};
  return represent(machine, value);
}

}  // namespace ddro::jinja
