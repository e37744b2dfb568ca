#include "ddro/models/adapter_options.h"

#include "ddro/base/error.h"

namespace ddro::models {
namespace {

constexpr std::int64_t kMaxRank = 1 << 16;
constexpr std::int64_t kMaxAlpha = 1 << 24;

void check_names(const char* key, const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    if (name.empty()) throw option_error(key, "an empty name", "names of modules");
  }
}

}  // namespace

void AdapterOptions::validate() const {
  if (r < 1 || r > kMaxRank)
    throw option_error("adapter.r", std::to_string(r), "a rank from 1 to " + std::to_string(kMaxRank));
  if (lora_alpha < 1 || lora_alpha > kMaxAlpha) {
    throw option_error("adapter.lora_alpha", std::to_string(lora_alpha),
                       "a number from 1 to " + std::to_string(kMaxAlpha));
  }
  check_names("adapter.target_modules", target_modules.names);
  check_names("adapter.modules_to_save", modules_to_save);
  if (adapter_name_or_path && adapter_name_or_path->empty())
    throw option_error("adapter.adapter_name_or_path", "an empty text",
                       "a PEFT folder, a GGUF adapter, or null");
}

}  // namespace ddro::models
