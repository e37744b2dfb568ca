#include "config/reader.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <regex>

#include "config/foreign_names.h"
#include "config/nearest_name.h"
#include "ddro/base/error.h"

namespace ddro::config {
namespace {

std::string place_of(const std::string& name, bool in_file, int line) {
  return in_file ? name + ":" + std::to_string(line) : name;
}

std::string joined(const std::vector<std::string>& names) {
  std::string out;
  for (const std::string& name : names) out += (out.empty() ? "" : ", ") + name;
  return out;
}

// Decimal digits without needless zeros in front; no other base, no separators.
bool looks_like_number(const std::string& text) {
  static const std::regex pattern(R"([-+]?(0|[1-9][0-9]*|(?=\.[0-9]))(\.[0-9]*)?([eE][-+]?[0-9]+)?)");
  return text.size() < 400 && std::regex_match(text, pattern);
}

bool is_plain_number(const YamlNode& node) {
  return node.kind == YamlNode::Kind::kScalar && node.plain && looks_like_number(node.text);
}

bool is_plain_bool(const YamlNode& node) {
  return node.kind == YamlNode::Kind::kScalar && node.plain && (node.text == "true" || node.text == "false");
}

std::string describe(const YamlNode& node) {
  switch (node.kind) {
    case YamlNode::Kind::kNull:
      return "null";
    case YamlNode::Kind::kList:
      return "a list";
    case YamlNode::Kind::kMapping:
      return "a mapping";
    case YamlNode::Kind::kScalar:
      break;
  }
  if (is_plain_number(node)) return "the number " + printable(node.text);
  if (is_plain_bool(node)) return node.text;
  return "the text \"" + printable(node.text) + "\"";
}

// std::from_chars knows no plus sign.
const char* digits_begin(const std::string& text) { return text.data() + (text.front() == '+' ? 1 : 0); }

void refuse_unbuilt(const Source& source) {
  if (source.node.kind != YamlNode::Kind::kScalar) return;
  if (const auto why = unbuilt_value(source.key, source.node.text)) source.fail(*why);
}

template <typename T>
void read_list(const Source& source, std::vector<T>& out) {
  refuse_unbuilt(source);
  if (source.node.kind != YamlNode::Kind::kList) source.wrong_type("a list: [FIRST, SECOND, ...]");
  out.clear();
  for (const YamlNode& item : source.node.items) {
    read_value(Source{item, source.key, source.place}, out.emplace_back());
  }
}

}  // namespace

void Source::fail(const std::string& what) const { throw input_error("[" + place + " " + key + "] " + what); }

void Source::wrong_type(const std::string& expected) const {
  fail("got " + describe(node) + ", expected " + expected);
}

void read_value(const Source& source, bool& out) {
  refuse_unbuilt(source);
  if (!is_plain_bool(source.node)) source.wrong_type("true or false");
  out = source.node.text == "true";
}

void read_value(const Source& source, std::int64_t& out) {
  refuse_unbuilt(source);
  const std::string& text = source.node.text;
  if (!is_plain_number(source.node) || text.find_first_of(".eE") != std::string::npos) {
    source.wrong_type("an integer in decimal digits");
  }
  if (std::from_chars(digits_begin(text), text.data() + text.size(), out).ec != std::errc()) {
    source.wrong_type("an integer of 64 bits");
  }
}

void read_value(const Source& source, double& out) {
  refuse_unbuilt(source);
  if (!is_plain_number(source.node)) source.wrong_type("a number");
  const std::string& text = source.node.text;
  if (std::from_chars(digits_begin(text), text.data() + text.size(), out).ec != std::errc()) {
    source.wrong_type("a number that a double can hold");
  }
}

void read_value(const Source& source, std::string& out) {
  refuse_unbuilt(source);
  const YamlNode& node = source.node;
  if (node.kind != YamlNode::Kind::kScalar) source.wrong_type("a text");
  const bool digits_only = node.text.find_first_not_of("0123456789.+-_") == std::string::npos &&
                           node.text.find_first_of("0123456789") != std::string::npos;
  if (node.plain && (is_plain_bool(node) || is_plain_number(node) || digits_only)) {
    source.wrong_type("a text; put it in quotes if it is one");
  }
  if (node.text.find('\0') != std::string::npos) source.fail("holds a NUL character");
  out = node.text;
}

namespace {

template <typename Number>
void read_number_or_auto(const Source& source, const char* expected, std::optional<Number>& out) {
  if (source.node.kind == YamlNode::Kind::kScalar && source.node.text == "auto") {
    out = std::nullopt;
    return;
  }
  if (!is_plain_number(source.node)) source.wrong_type(expected);
  read_value(source, out.emplace());
}

}  // namespace

void read_value(const Source& source, std::optional<double>& out) {
  read_number_or_auto(source, "a number or auto", out);
}

void read_value(const Source& source, std::optional<std::int64_t>& out) {
  read_number_or_auto(source, "an integer or auto", out);
}

void read_value(const Source& source, std::optional<std::string>& out) {
  if (source.node.kind == YamlNode::Kind::kNull) {
    out = std::nullopt;
  } else {
    read_value(source, out.emplace());
  }
}

void read_value(const Source& source, std::vector<std::string>& out) { read_list(source, out); }
void read_value(const Source& source, std::vector<double>& out) { read_list(source, out); }

void read_value(const Source& source, losses::LossTypes& out) {
  const auto losses = losses::loss_names();
  std::vector<std::string> names;
  for (const auto& [name, type] : losses) names.push_back(name);
  out.all.clear();
  if (source.node.kind != YamlNode::Kind::kList) {
    out.all.push_back(losses[read_choice(source, names)].second);
    return;
  }
  for (const YamlNode& item : source.node.items) {
    out.all.push_back(losses[read_choice(Source{item, source.key, source.place}, names)].second);
  }
}

void read_value(const Source& source, models::TargetModules& out) {
  out.names.clear();
  if (source.node.kind == YamlNode::Kind::kScalar && source.node.text == "all-linear") return;
  if (source.node.kind != YamlNode::Kind::kList || source.node.items.empty())
    source.wrong_type("all-linear, or a list of names: [q_proj, v_proj]");
  read_value(source, out.names);
}

void read_value(const Source& source, std::map<std::string, std::string>& out) {
  if (source.node.kind == YamlNode::Kind::kNull) {
    out.clear();
    return;
  }
  if (source.node.kind != YamlNode::Kind::kMapping) source.wrong_type("a mapping: {NAME: VALUE, ...}");
  out.clear();
  for (const YamlEntry& entry : source.node.entries) {
    if (entry.key.find('\0') != std::string::npos) source.fail("a name holds a NUL character");
    read_value(Source{entry.value, source.key + "." + printable(entry.key), source.place}, out[entry.key]);
  }
}

void read_value(const Source& source, std::vector<data::TrainFiles>& out) {
  if (source.node.kind != YamlNode::Kind::kList)
    source.wrong_type("a list: [FIRST, SECOND, ...], items with a weight as {FILE: WEIGHT}");
  out.clear();
  for (const YamlNode& item : source.node.items) {
    if (item.kind != YamlNode::Kind::kMapping) {
      read_value(Source{item, source.key, source.place}, out.emplace_back().pattern);
      continue;
    }
    for (const YamlEntry& entry : item.entries) {
      data::TrainFiles& files = out.emplace_back();
      files.pattern = entry.key;
      read_value(Source{entry.value, source.key + "." + printable(entry.key), source.place}, files.weight);
    }
  }
}

void read_value(const Source& source, models::ReferenceFit& out) {
  const std::string expected = "a mapping of num_train_epochs, learning_rate, early_stopping_patience";
  if (source.node.kind != YamlNode::Kind::kMapping) source.wrong_type(expected);
  for (const YamlEntry& entry : source.node.entries) {
    const Source member{entry.value, source.key + "." + printable(entry.key), source.place};
    if (entry.key == "num_train_epochs") {
      read_value(member, out.num_train_epochs);
    } else if (entry.key == "learning_rate") {
      read_value(member, out.learning_rate);
    } else if (entry.key == "early_stopping_patience") {
      read_value(member, out.early_stopping_patience);
    } else {
      member.fail("unknown key; expected " + expected);
    }
  }
}

namespace {

// As a reader of JSON would have it: what is written without quotes may be null, a boolean or a number.
Json read_anything(const Source& source) {
  const YamlNode& node = source.node;
  switch (node.kind) {
    case YamlNode::Kind::kNull:
      return nullptr;
    case YamlNode::Kind::kList: {
      Json list = Json::array();
      for (const YamlNode& item : node.items)
        list.push_back(read_anything(Source{item, source.key, source.place}));
      return list;
    }
    case YamlNode::Kind::kMapping: {
      Json mapping = Json::object();
      for (const YamlEntry& entry : node.entries) {
        mapping[entry.key] =
            read_anything(Source{entry.value, source.key + "." + printable(entry.key), source.place});
      }
      return mapping;
    }
    case YamlNode::Kind::kScalar:
      break;
  }
  if (is_plain_bool(node)) return node.text == "true";
  if (!is_plain_number(node)) return node.text;
  if (node.text.find_first_of(".eE") == std::string::npos) {
    std::int64_t number = 0;
    read_value(source, number);
    return number;
  }
  double number = 0;
  read_value(source, number);
  return number;
}

}  // namespace

void read_value(const Source& source, Json& out) {
  if (source.node.kind == YamlNode::Kind::kNull) {
    out = Json::object();
    return;
  }
  if (source.node.kind != YamlNode::Kind::kMapping) source.wrong_type("a mapping: {NAME: VALUE, ...}");
  out = read_anything(source);
}

size_t read_choice(const Source& source, const std::vector<std::string>& names) {
  refuse_unbuilt(source);
  const std::string expected = "one of " + joined(names);
  if (source.node.kind != YamlNode::Kind::kScalar) source.wrong_type(expected);
  const auto found = std::find(names.begin(), names.end(), source.node.text);
  if (found == names.end()) {
    const std::string nearest = nearest_name(source.node.text, names);
    source.wrong_type(expected + (nearest.empty() ? "" : "; did you mean " + nearest + "?"));
  }
  return static_cast<size_t>(found - names.begin());
}

Catalogue::Catalogue() {
  const RunConfig config;
  visit_fields(config, *this);
}

namespace {

// What to say about a key that `section` (empty: the top level) does not have.
std::string explain_unknown(const Catalogue& catalogue, const std::string& section, const std::string& key) {
  const std::string leaf = key.substr(key.rfind('.') + 1);
  std::vector<std::string> here;
  for (const auto& [name, keys] : catalogue.sections) {
    if (section.empty()) here.push_back(name);
    if (name == section) here = keys;
  }
  for (const auto& [name, keys] : catalogue.sections) {
    if (name != section && std::find(keys.begin(), keys.end(), leaf) != keys.end()) {
      return "unknown key; " + leaf + " belongs to the section " + name + ": write " + name + ": {" + leaf +
             ": ...}";
    }
  }
  if (const auto advice = advice_for_key(leaf)) return "unknown key; " + *advice;
  if (const std::string nearest = nearest_name(key, here); !nearest.empty()) {
    return "unknown key; did you mean " + nearest + "?";
  }
  if (const std::string longer = only_name_with(leaf, here); !longer.empty()) {
    return "unknown key; did you mean " + longer + "?";
  }
  for (const auto& [name, keys] : catalogue.sections) {
    const std::string nearest = nearest_name(leaf, keys);
    if (name != section && !nearest.empty()) return "unknown key; did you mean " + name + "." + nearest + "?";
  }
  return "unknown key; expected one of " + joined(here);
}

}  // namespace

void refuse_unknown_keys(const YamlNode& root, const std::string& name, bool in_file) {
  const Catalogue catalogue;
  if (root.kind != YamlNode::Kind::kMapping && root.kind != YamlNode::Kind::kNull) {
    throw input_error("[" + place_of(name, in_file, root.line) + "] got " + describe(root) +
                      ", expected sections (model: ..., data: ..., ...)");
  }
  for (const YamlEntry& top : root.entries) {
    const auto found = std::find_if(catalogue.sections.begin(), catalogue.sections.end(),
                                    [&](const auto& section) { return section.first == top.key; });
    const std::string place = place_of(name, in_file, top.line);
    if (found == catalogue.sections.end()) {
      throw input_error("[" + place + " " + printable(top.key) + "] " +
                        explain_unknown(catalogue, "", top.key));
    }
    if (top.value.kind == YamlNode::Kind::kNull) continue;
    if (top.value.kind != YamlNode::Kind::kMapping) {
      throw input_error("[" + place + " " + top.key + "] got " + describe(top.value) +
                        ", expected a mapping of " + joined(found->second) +
                        (top.key == "model" ? "; write model: {model_name_or_path: ...}" : ""));
    }
    for (const YamlEntry& entry : top.value.entries) {
      const auto& keys = found->second;
      if (std::find(keys.begin(), keys.end(), entry.key) != keys.end()) continue;
      throw input_error("[" + place_of(name, in_file, entry.line) + " " + top.key + "." +
                        printable(entry.key) + "] " + explain_unknown(catalogue, top.key, entry.key));
    }
  }
}

Source Reader::source_of(const YamlEntry& entry) const {
  return {entry.value, section_name_ + "." + entry.key, place_of(name_, in_file_, entry.line)};
}

}  // namespace ddro::config
