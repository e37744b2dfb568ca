#include "ddro/config/run_config.h"

#include "config/fields.h"
#include "config/reader.h"
#include "config/unread_keys.h"
#include "config/yaml_tree.h"
#include "ddro/base/error.h"
#include "ddro/base/files.h"

namespace ddro::config {
namespace {

constexpr std::uint64_t kMaxFileBytes = 1 << 20;

void apply_tree(const YamlNode& root, const std::string& name, bool in_file, RunConfig& config,
                Places& places) {
  refuse_unknown_keys(root, name, in_file);
  Reader reader(root, name, in_file, places);
  visit_fields(config, reader);
}

// `value` in a mapping for each part of a dotted path.
YamlNode nested(const std::string& path, YamlNode value) {
  const size_t dot = path.find('.');
  if (dot != std::string::npos) value = nested(path.substr(dot + 1), std::move(value));
  YamlNode node;
  node.kind = YamlNode::Kind::kMapping;
  node.entries.push_back({path.substr(0, dot), 0, std::move(value)});
  return node;
}

void apply_override(const std::string& text, RunConfig& config, Places& places) {
  const std::string name = "--set " + printable(text);
  const size_t equals = text.find('=');
  const size_t dot = text.find('.');
  if (equals == std::string::npos || dot == std::string::npos || dot > equals) {
    throw input_error("[" + name + "] not an override; expected --set section.key=value");
  }
  apply_tree(nested(text.substr(0, equals), parse_yaml(text.substr(equals + 1), name)), name, false, config,
             places);
}

void note_explicit_options(const Places& places, losses::ObjectiveOptions& objective) {
  const std::string section = "objective.";
  for (const auto& [key, place] : places) {
    if (key.starts_with(section)) objective.explicitly_set.insert(key.substr(section.size()));
  }
}

// Adds to an option's own complaint, "[key] ...", where the key was set.
template <typename Options>
void validate(const Options& options, const Places& places) {
  try {
    options.validate();
  } catch (const Error& error) {
    const std::string message = error.what();
    const size_t end = message.find(']');
    if (message.empty() || message.front() != '[' || end == std::string::npos) throw;
    const auto place = places.find(message.substr(1, end - 1));
    if (place == places.end()) throw;
    throw Error(error.kind(), "[" + place->second + " " + message.substr(1));
  }
}

struct Validator {
  const Places& places;

  template <typename Options, typename Body>
  void section(const char*, const Options& options, Body) {
    if constexpr (requires { options.validate(); }) validate(options, places);
  }
};

}  // namespace

RunConfig load_run_config(const std::string& path, const std::vector<std::string>& overrides) {
  RunConfig config;
  Places places;
  if (!path.empty()) {
    const std::string name = printable(path, 400);
    apply_tree(parse_yaml(read_file(path, ErrorKind::kInput, kMaxFileBytes), name), name, true, config,
               places);
  }
  for (const std::string& text : overrides) apply_override(text, config, places);
  note_explicit_options(places, config.objective);
  Validator validator{places};
  visit_fields(config, validator);
  warn_of_unread_keys(config, places);
  return config;
}

losses::ObjectiveOptions load_objective(const std::vector<std::string>& overrides) {
  RunConfig config;
  Places places;
  for (const std::string& text : overrides) {
    if (!text.starts_with("objective.")) {
      throw input_error("[--set " + printable(text) + "] only the section objective can be set here");
    }
    apply_override(text, config, places);
  }
  note_explicit_options(places, config.objective);
  validate(config.objective, places);
  return config.objective;
}

RunConfig example_run_config() {
  RunConfig config;
  config.data.train_files.push_back({"train.jsonl"});
  config.data.eval_files = {{"held_out", "eval.jsonl"}};
  return config;
}

}  // namespace ddro::config
