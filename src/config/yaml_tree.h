// YAML as configuration needs it: one document of mappings, lists and scalars that remember their lines. What
// lets two readers see different things is refused: duplicate keys, anchors, aliases, tags, several
// documents.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace ddro::config {

struct YamlEntry;

struct YamlNode {
  enum class Kind { kNull, kScalar, kList, kMapping };

  Kind kind = Kind::kNull;
  int line = 0;       // from 1; 0: nowhere in a file
  std::string text;   // scalar
  bool plain = true;  // scalar: written without quotes
  std::vector<YamlNode> items;
  std::vector<YamlEntry> entries;  // in the document's order, keys distinct
};

struct YamlEntry {
  std::string key;
  int line = 0;
  YamlNode value;
};

// Parses one document; an empty one is null. `name` begins each message, followed by the line: Error(kInput).
YamlNode parse_yaml(std::string_view text, const std::string& name);

}  // namespace ddro::config
