#include "ddro/gguf/adapter_file.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <string_view>

#include "ddro/base/error.h"

namespace ddro::gguf {
namespace {

constexpr const char* kAlpha = "adapter.lora.alpha";
constexpr std::string_view kHub = "https://huggingface.co/";

// adapter.lora.task_name is a word for people.
constexpr std::array<std::string_view, 3> kKnownKeys = {"adapter.type", kAlpha, "adapter.lora.task_name"};

[[noreturn]] void refuse(const GgufFile& file, const std::string& what) {
  throw model_error("[" + file.where() + "] " + what);
}

void refuse_unknown(const GgufFile& file) {
  for (const std::string& key : file.keys()) {
    const bool known = std::find(kKnownKeys.begin(), kKnownKeys.end(), key) != kKnownKeys.end();
    if (key.starts_with("adapter.") && !known)
      refuse(file, "metadata \"" + printable(key) + "\" is not supported in a LoRA");
  }
}

// The page of Hugging Face that the file names as its base's, as org/name.
std::string base_on_hub(const GgufFile& file) {
  std::string page = file.text("general.base_model.0.repo_url").value_or("");
  while (page.ends_with('/')) page.pop_back();
  return page.starts_with(kHub) ? page.substr(kHub.size()) : "";
}

}  // namespace

bool is_adapter(const GgufFile& file) { return file.text("general.type").value_or("model") == "adapter"; }

AdapterKeys read_adapter_keys(const GgufFile& file) {
  if (!is_adapter(file))
    refuse(file, "is a GGUF file of type \"" + printable(file.text("general.type").value_or("model")) +
                     "\"; expected \"adapter\"");
  const std::string kind = file.text("adapter.type").value_or("");
  if (kind != "lora") refuse(file, "adapter.type is \"" + printable(kind) + "\"; expected \"lora\"");
  const auto alpha = file.number(kAlpha);
  if (!alpha) refuse(file, std::string(kAlpha) + " is missing; it scales the factors");
  if (!(*alpha > 0))
    refuse(file, std::string(kAlpha) + " is out of range; got " + printable(*alpha) +
                     ", expected a number above 0");
  refuse_unknown(file);
  AdapterKeys keys;
  keys.architecture = file.text("general.architecture").value_or("");
  keys.alpha = *alpha;
  keys.base = file.text(kBaseName).value_or(base_on_hub(file));
  keys.base_hash = file.text(kBaseHash).value_or("");
  return keys;
}

}  // namespace ddro::gguf
