#include "ddro/config/flat_settings.h"

#include "config/yaml_tree.h"

namespace ddro::config {
namespace {

std::string one_line(const YamlNode& node) {
  switch (node.kind) {
    case YamlNode::Kind::kNull:
      return "null";
    case YamlNode::Kind::kScalar:
      return node.text;
    case YamlNode::Kind::kList: {
      std::string items;
      for (const YamlNode& item : node.items) items += (items.empty() ? "" : ", ") + one_line(item);
      return "[" + items + "]";
    }
    case YamlNode::Kind::kMapping:
      return "{}";
  }
  return "";
}

void flatten(const YamlNode& node, const std::string& key, FlatSettings& settings) {
  if (node.kind != YamlNode::Kind::kMapping || node.entries.empty()) {
    settings.emplace_back(key, one_line(node));
    return;
  }
  for (const YamlEntry& entry : node.entries)
    flatten(entry.value, key.empty() ? entry.key : key + "." + entry.key, settings);
}

}  // namespace

FlatSettings read_flat_settings(std::string_view text, const std::string& name) {
  FlatSettings settings;
  const YamlNode root = parse_yaml(text, name);
  if (root.kind != YamlNode::Kind::kNull) flatten(root, "", settings);
  return settings;
}

}  // namespace ddro::config
