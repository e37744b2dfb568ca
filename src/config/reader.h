// The visitor that fills a RunConfig from a YAML tree.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "config/fields.h"
#include "config/yaml_tree.h"

namespace ddro::config {

// Where each key was set: dotted key -> what begins a message ("file:line", "--set a.b=c").
using Places = std::map<std::string, std::string>;

// A value about to be read, with what a message about it needs.
struct Source {
  const YamlNode& node;
  std::string key;    // dotted
  std::string place;  // as in Places

  [[noreturn]] void fail(const std::string& what) const;
  [[noreturn]] void wrong_type(const std::string& expected) const;
};

void read_value(const Source& source, bool& out);
void read_value(const Source& source, std::int64_t& out);
void read_value(const Source& source, double& out);
void read_value(const Source& source, std::string& out);
void read_value(const Source& source, std::optional<double>& out);        // `auto`: nullopt
void read_value(const Source& source, std::optional<std::int64_t>& out);  // `auto`: nullopt
void read_value(const Source& source, std::optional<std::string>& out);   // null: nullopt
void read_value(const Source& source, std::vector<std::string>& out);
void read_value(const Source& source, std::vector<double>& out);
void read_value(const Source& source, losses::LossTypes& out);      // one, or a list
void read_value(const Source& source, models::TargetModules& out);  // all-linear, or a list
void read_value(const Source& source, std::map<std::string, std::string>& out);
void read_value(const Source& source, std::vector<data::TrainFiles>& out);  // items: FILE or {FILE: WEIGHT}
void read_value(const Source& source, models::ReferenceFit& out);           // a mapping of some of its keys
void read_value(const Source& source, Json& out);                           // a mapping of names to anything

// The index of the scalar in `names`.
size_t read_choice(const Source& source, const std::vector<std::string>& names);

template <typename Enum>
void read_value(const Source& source, Enum& out) {
  std::vector<std::string> names;
  for (const auto& entry : EnumNames<Enum>::kNames) names.emplace_back(entry.name);
  out = EnumNames<Enum>::kNames[read_choice(source, names)].value;
}

template <typename Enum>
void read_value(const Source& source, std::optional<Enum>& out) {  // null: nullopt
  if (source.node.kind == YamlNode::Kind::kNull) {
    out = std::nullopt;
  } else {
    read_value(source, out.emplace());
  }
}

// All sections with their keys.
struct Catalogue {
  std::vector<std::pair<std::string, std::vector<std::string>>> sections;

  Catalogue();
  template <typename Options, typename Body>
  void section(const char* name, Options& options, Body body) {
    sections.push_back({name, {}});
    body(options, *this);
  }
  template <typename T>
  void operator()(const char* key, const T&, OnChange, const char*) {
    sections.back().second.emplace_back(key);
  }
};

// Refuses keys and sections that do not exist, saying what was probably meant. `name` as for Reader.
void refuse_unknown_keys(const YamlNode& root, const std::string& name, bool in_file);

class Reader {
 public:
  // `name`: of the file; or, if not `in_file`, of the override, which has no lines.
  Reader(const YamlNode& root, std::string name, bool in_file, Places& places)
      : root_(root), name_(std::move(name)), in_file_(in_file), places_(places) {}

  template <typename Options, typename Body>
  void section(const char* name, Options& options, Body body) {
    section_name_ = name;
    section_ = nullptr;
    for (const YamlEntry& entry : root_.entries) {
      if (entry.key == name) section_ = &entry.value;
    }
    if (section_ != nullptr) body(options, *this);
  }

  template <typename T>
  void operator()(const char* key, T& member, OnChange, const char*) {
    for (const YamlEntry& entry : section_->entries) {
      if (entry.key != key) continue;
      const Source source = source_of(entry);
      read_value(source, member);
      places_[source.key] = source.place;
    }
  }

 private:
  Source source_of(const YamlEntry& entry) const;

  const YamlNode& root_;
  std::string name_;
  bool in_file_;
  Places& places_;
  std::string section_name_;
  const YamlNode* section_ = nullptr;
};

}  // namespace ddro::config
