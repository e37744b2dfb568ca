#include "jinja/json_writer.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <utility>
#include <vector>

#include "ddro/base/utf8.h"
#include "jinja/integers.h"

namespace ddro::jinja {
namespace {

void append_escape(std::string& out, char32_t unit) {
  char buffer[16];
  std::snprintf(buffer, sizeof buffer, "\\u%04x", static_cast<unsigned>(unit));
  out += buffer;
}

void write_character(char32_t c, bool ensure_ascii, std::string& out) {
  switch (c) {
    case '"':
      out += "\\\"";
      return;
    case '\\':
      out += "\\\\";
      return;
    case '\n':
      out += "\\n";
      return;
    case '\r':
      out += "\\r";
      return;
    case '\t':
      out += "\\t";
      return;
    case '\f':
      out += "\\f";
      return;
    case '\b':
      out += "\\b";
      return;
    default:
      break;
  }
  if (c >= 0x20 && (!ensure_ascii || c < 0x7F)) return append_utf8(out, c);
  if (c < 0x10000) return append_escape(out, c);
  append_escape(out, 0xD800 + ((c - 0x10000) >> 10));
  append_escape(out, 0xDC00 + ((c - 0x10000) & 0x3FF));
}

class Writer {
 public:
  Writer(Machine& machine, const JsonStyle& style) : machine_(machine), style_(style) {}

  void write(const Value& value, int level) {
    const Machine::Level nesting(machine_);
    machine_.charge(1);
    if (const MarkedText* text = value.text()) return write_text(*text);
    if (const List* list = value.list()) return write_list(*list, level);
    if (const Dict* dict = value.dict()) return write_dict(*dict, level);
    plain(scalar(value));
  }

  MarkedText take() { return std::move(out_); }

 private:
  void plain(std::string_view text) {
    MarkedText piece;
    append(piece, text);
    machine_.grow(out_, piece);
  }

  std::string scalar(const Value& value) {
    if (value.is_none()) return "null";
    if (const bool* boolean = value.boolean()) return *boolean ? "true" : "false";
    if (value.is_integer()) return write_integer(machine_, value);
    if (const double* real = value.real()) {
      if (std::isfinite(*real)) return represent_real(*real);
      return std::isnan(*real) ? "NaN" : *real < 0 ? "-Infinity" : "Infinity";
    }
    machine_.fail("Object of type " + type_name(value) + " is not JSON serializable");
  }

  void write_text(const MarkedText& text) {
    machine_.charge_text(text.text.size());
    plain("\"");
    const bool ensure_ascii = style_.ensure_ascii;
    machine_.grow(out_, map_code_points(text, [ensure_ascii](char32_t c, std::string& out) {
                    write_character(c, ensure_ascii, out);
                  }));
    plain("\"");
  }

  void new_line(int level) {
    if (!style_.indent) return;
    std::string line = "\n";
    for (int i = 0; i < level; ++i) {
      machine_.charge_text(line.size() + style_.indent->size());
      line += *style_.indent;
    }
    plain(line);
  }

  void write_list(const List& list, int level) {
    plain("[");
    for (size_t i = 0; i < list.items.size(); ++i) {
      if (i > 0) machine_.grow(out_, style_.item_separator);
      new_line(level + 1);
      write(list.items[i], level + 1);
    }
    if (!list.items.empty()) new_line(level);
    plain("]");
  }

  void write_key(const Value& key) {
    if (const MarkedText* text = key.text()) return write_text(*text);
    if (!key.is_none() && !key.is_number()) {
      machine_.fail("keys must be str, int, float, bool or None, not " + type_name(key));
    }
    plain("\"" + scalar(key) + "\"");
  }

  void write_dict(const Dict& dict, int level) {
    std::vector<const std::pair<Value, Value>*> entries;
    machine_.charge(dict.entries().size());
    for (const auto& entry : dict.entries()) entries.push_back(&entry);
    if (style_.sort_keys) {
      std::stable_sort(entries.begin(), entries.end(),
                       [&](const auto* a, const auto* b) { return less(machine_, a->first, b->first); });
    }
    plain("{");
    for (size_t i = 0; i < entries.size(); ++i) {
      if (i > 0) machine_.grow(out_, style_.item_separator);
      new_line(level + 1);
      write_key(entries[i]->first);
      machine_.grow(out_, style_.key_separator);
      write(entries[i]->second, level + 1);
    }
    if (!entries.empty()) new_line(level);
    plain("}");
  }

  Machine& machine_;
  const JsonStyle& style_;
  MarkedText out_;
};

}  // namespace

MarkedText write_json(Machine& machine, const Value& value, const JsonStyle& style) {
  Writer writer(machine, style);
  writer.write(value, 0);
  return writer.take();
}

}  // namespace ddro::jinja
