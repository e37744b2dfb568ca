// Names that users know from other trainers, and features that do not exist here: what to say about each.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace ddro::config {

// What to write instead of `key`, a key of TRL, transformers, axolotl or LLaMA-Factory; nullopt for a name
// not known from there.
std::optional<std::string> advice_for_key(std::string_view key);

// Why the text `value` is refused at the dotted key `key`: a feature that is not built. nullopt for other
// values.
std::optional<std::string> unbuilt_value(std::string_view key, std::string_view value);

}  // namespace ddro::config
