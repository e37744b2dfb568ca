// The `adapter` section of a run's configuration: what is trained in place of the weights. Names are PEFT's.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "ddro/base/enum_names.h"

namespace ddro::models {

enum class AdapterType { kLora, kDora };

// Linear layers by name, or by what follows a dot in their names.
struct TargetModules {
  std::vector<std::string> names;  // empty: every linear layer but the head

  bool is_all_linear() const { return names.empty(); }
};

struct AdapterOptions {
  std::optional<AdapterType>
      adapter_type;  // null: all weights are trained, unless adapter_name_or_path is set
  std::int64_t r = 16;
  std::int64_t lora_alpha = 32;
  TargetModules target_modules;
  bool use_rslora = false;                   // lora_alpha over the root of r instead of over r
  std::vector<std::string> modules_to_save;  // trained in full
  std::optional<std::string>
      adapter_name_or_path;  // a PEFT folder or a GGUF adapter to go on from, with its own options

  bool is_used() const { return adapter_type || adapter_name_or_path; }
  void validate() const;  // Error(kInput) naming the dotted key
};

}  // namespace ddro::models

namespace ddro {

template <>
struct EnumNames<models::AdapterType> {
  using E = models::AdapterType;
  static constexpr std::array<EnumName<E>, 2> kNames = {{{"lora", E::kLora}, {"dora", E::kDora}}};
};

}  // namespace ddro
