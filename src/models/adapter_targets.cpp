#include "models/adapter_targets.h"

#include <algorithm>

namespace ddro::models {

bool is_named(const std::string& layer, const std::string& target) {
  return layer == target || layer.ends_with("." + target);
}

bool belongs_to(const std::string& parameter, const std::string& module) {
  for (size_t dot = parameter.find('.'); dot != std::string::npos; dot = parameter.find('.', dot + 1)) {
    if (parameter.substr(0, dot).ends_with(module)) return true;
  }
  return false;
}

std::vector<std::string> all_linear(const ModelSpec& model) {
  std::vector<std::string> names;
  for (const LinearSpec& linear : linears_of(model)) {
    const std::string name = linear.name.substr(linear.name.rfind('.') + 1);
    if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
  }
  return names;
}

std::string known_targets(const ModelSpec& model) {
  std::string text;
  for (const std::string& name : all_linear(model)) text += (text.empty() ? "" : ", ") + name;
  return text;
}

}  // namespace ddro::models
