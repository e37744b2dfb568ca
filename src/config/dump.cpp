// A RunConfig as YAML.
#include <algorithm>
#include <array>
#include <cctype>
#include <cstdio>
#include <string_view>

#include "config/fields.h"
#include "ddro/base/error.h"
#include "ddro/base/utf8.h"
#include "ddro/config/run_config.h"

namespace ddro::config {
namespace {

bool is_reserved_word(std::string text) {
  constexpr std::array<std::string_view, 9> kWords = {"true", "false", "yes", "no", "on",
                                                      "off",  "null",  "y",   "n"};
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return std::find(kWords.begin(), kWords.end(), text) != kWords.end();
}

// Without quotes only where every reader of YAML takes it for this text.
bool is_plain_text(const std::string& text) {
  const auto is_letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
  const auto is_safe = [&](char c) {
    return is_letter(c) || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.' || c == '/';
  };
  return !text.empty() && (is_letter(text.front()) || text.front() == '/') &&
         std::all_of(text.begin(), text.end(), is_safe) && !is_reserved_word(text);
}

std::string yaml_text(const std::string& text) {
  if (is_plain_text(text)) return text;
  std::string out = "\"";
  size_t offset = 0;
  while (offset < text.size()) {
    const size_t begin = offset;
    const char32_t c = next_code_point(text, offset);
    const bool shown = (c >= 0x20 && c < 0x7F) || (c >= 0xA0 && c != 0x2028 && c != 0x2029 && c != 0xFEFF);
    char escape[12];
    if (c == '"' || c == '\\') {
      out += '\\';
      out += static_cast<char>(c);
    } else if (shown) {
      out.append(text, begin, offset - begin);
    } else {
      std::snprintf(escape, sizeof escape, "\\u%04x", static_cast<unsigned>(c));
      out += escape;
    }
  }
  return out + "\"";
}

std::string yaml_value(bool value) { return value ? "true" : "false"; }
std::string yaml_value(std::int64_t value) { return std::to_string(value); }
std::string yaml_value(const std::string& value) { return yaml_text(value); }

// With a point in front of an exponent: readers of YAML 1.1 take 1e-6 for a text.
std::string yaml_value(double value) {
  std::string text = printable(value);
  const size_t exponent = text.find('e');
  if (exponent != std::string::npos && text.find('.') == std::string::npos) text.insert(exponent, ".0");
  return text;
}

std::string yaml_value(const std::optional<double>& value) { return value ? yaml_value(*value) : "auto"; }
std::string yaml_value(const std::optional<std::int64_t>& value) {
  return value ? yaml_value(*value) : "auto";
}
std::string yaml_value(const std::optional<bool>& value) { return value ? yaml_value(*value) : "null"; }
std::string yaml_value(const std::optional<std::string>& value) { return value ? yaml_text(*value) : "null"; }

std::string yaml_value(const data::TrainFiles& files) {
  const std::string pattern = yaml_text(files.pattern);
  return files.weight == 1 ? pattern : "{" + pattern + ": " + yaml_value(files.weight) + "}";
}

template <typename T>
std::string yaml_value(const std::vector<T>& values) {
  std::string out;
  for (const T& value : values) out += (out.empty() ? "" : ", ") + yaml_value(value);
  return "[" + out + "]";
}

std::string yaml_value(const losses::LossTypes& types) {
  std::vector<std::string> names;
  for (const losses::LossType type : types.all) names.push_back(losses::loss_name(type));
  return names.size() == 1 ? yaml_value(names.front()) : yaml_value(names);
}

std::string yaml_value(const models::TargetModules& targets) {
  return targets.is_all_linear() ? "all-linear" : yaml_value(targets.names);
}

std::string yaml_value(const models::ReferenceFit& fit) {
  return "{num_train_epochs: " + yaml_value(fit.num_train_epochs) +
         ", learning_rate: " + yaml_value(fit.learning_rate) +
         ", early_stopping_patience: " + yaml_value(fit.early_stopping_patience) + "}";
}

std::string yaml_value(const std::map<std::string, std::string>& values) {
  std::string out;
  for (const auto& [name, value] : values)
    out += (out.empty() ? "" : ", ") + yaml_text(name) + ": " + yaml_text(value);
  return "{" + out + "}";
}

std::string yaml_value(const Json& value) {
  std::string out;
  const auto add = [&](const std::string& item) { out += (out.empty() ? "" : ", ") + item; };
  switch (value.type()) {
    case Json::value_t::object:
      for (const auto& [name, member] : value.items()) add(yaml_text(name) + ": " + yaml_value(member));
      return "{" + out + "}";
    case Json::value_t::array:
      for (const Json& item : value) add(yaml_value(item));
      return "[" + out + "]";
    case Json::value_t::string:
      return yaml_text(value.get<std::string>());
    case Json::value_t::number_float:
      return yaml_value(value.get<double>());
    default:
      return value.dump();
  }
}

template <typename Enum>
std::string yaml_value(Enum value) {
  return enum_name(value);
}

template <typename Enum>
std::string yaml_value(const std::optional<Enum>& value) {
  return value ? enum_name(*value) : "null";
}

// Options that the run's loss or its adapter has; setting others is refused or of no effect.
bool is_read(const RunConfig& config, std::string_view section, const std::string& key) {
  if (section == "objective") return losses::uses_option(config.objective, key);
  if (section != "adapter" || key == "adapter_type" || key == "adapter_name_or_path") return true;
  return config.adapter.adapter_type && !config.adapter.adapter_name_or_path;
}

class Dumper {
 public:
  Dumper(const RunConfig& config, bool with_help) : config_(config), with_help_(with_help) {}

  template <typename Options, typename Body>
  void section(const char* name, const Options& options, Body body) {
    section_ = name;
    lines_.clear();
    body(options, *this);
    out_ += (out_.empty() ? "" : "\n") + section_ + ":\n";
    size_t width = 0;
    for (const Line& line : lines_) width = std::max(width, std::min(line.text.size(), kHelpColumn));
    for (const Line& line : lines_) {
      out_ += line.text;
      if (with_help_)
        out_ += std::string(width - std::min(width, line.text.size()), ' ') + "  # " + line.help;
      out_ += '\n';
    }
  }

  template <typename T>
  void operator()(const char* key, const T& member, OnChange, const char* help) {
    const bool shown = is_read(config_, section_, key);
    if (!shown && !with_help_) return;
    lines_.push_back({std::string(shown ? "  " : "  # ") + key + ": " + yaml_value(member), help});
  }

  const std::string& text() const { return out_; }

 private:
  static constexpr size_t kHelpColumn = 44;
  struct Line {
    std::string text;
    std::string help;
  };

  const RunConfig& config_;
  bool with_help_;
  std::string section_;
  std::vector<Line> lines_;
  std::string out_;
};

// "key: value, ..." of the options that the loss has.
struct ObjectiveLine {
  const losses::ObjectiveOptions& options;
  bool in_objective;
  std::string text;

  template <typename Options, typename Body>
  void section(const char* name, const Options& section_options, Body body) {
    in_objective = std::string_view(name) == "objective";
    body(section_options, *this);
  }
  template <typename T>
  void operator()(const char* key, const T& member, OnChange, const char*) {
    if (!in_objective || !losses::uses_option(options, key)) return;
    text += (text.empty() ? "" : ", ") + std::string(key) + ": " + yaml_value(member);
  }
};

struct SettingList {
  const RunConfig& config;
  std::string section_name;
  std::vector<Setting> settings;

  template <typename Options, typename Body>
  void section(const char* name, const Options& options, Body body) {
    section_name = name;
    body(options, *this);
  }
  template <typename T>
  void operator()(const char* key, const T& member, OnChange on_change, const char*) {
    if (!is_read(config, section_name, key)) return;
    settings.push_back({section_name + "." + key, yaml_value(member), on_change});
  }
};

}  // namespace

std::vector<Setting> list_settings(const RunConfig& config) {
  SettingList list{.config = config, .section_name = {}, .settings = {}};
  visit_fields(config, list);
  return list.settings;
}

std::string describe_objective(const losses::ObjectiveOptions& objective) {
  RunConfig config;
  config.objective = objective;
  ObjectiveLine line{.options = config.objective, .in_objective = false, .text = {}};
  visit_fields(config, line);
  return line.text;
}

std::string dump_run_config(const RunConfig& config, bool with_help) {
  Dumper dumper(config, with_help);
  visit_fields(config, dumper);
  return dumper.text();
}

}  // namespace ddro::config
