// A configuration file as a flat list, for comparing runs: no key is checked, so that files of other versions
// can be read too.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ddro::config {

// Dotted key -> value as one line, in the order of the document: {"train.seed", "42"}, {"data.train_files",
// "[a, b]"}.
using FlatSettings = std::vector<std::pair<std::string, std::string>>;

// `name` begins each message: Error(kInput) for what is not YAML.
FlatSettings read_flat_settings(std::string_view text, const std::string& name);

}  // namespace ddro::config
