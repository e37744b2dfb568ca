#include "ddro/models/model_path.h"

#include <cctype>
#include <cstdlib>
#include <cstring>
#include <optional>

#include "ddro/base/files.h"
#include "ddro/base/gguf_file.h"
#include "ddro/gguf/adapter_file.h"
#include "ddro/models/adapter_spec.h"
#include "models/contained_file.h"

namespace ddro::models {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kMaxConfigBytes = std::uint64_t{1} << 22;

std::optional<fs::path> from_environment(const char* name) {
  const char* value = std::getenv(name);
  if (value == nullptr || *value == '\0') return std::nullopt;
  return fs::path(value);
}

// The order in which huggingface_hub looks.
fs::path hub_cache() {
  if (const auto path = from_environment("HF_HUB_CACHE")) return *path;
  if (const auto path = from_environment("HUGGINGFACE_HUB_CACHE")) return *path;
  if (const auto path = from_environment("HF_HOME")) return *path / "hub";
  if (const auto path = from_environment("XDG_CACHE_HOME")) return *path / "huggingface" / "hub";
  return from_environment("HOME").value_or("/") / ".cache" / "huggingface" / "hub";
}

// name or org/name, of the characters that the hub allows.
bool is_repository_name(const std::string& name) {
  size_t slashes = 0;
  size_t part_begin = 0;
  for (size_t i = 0; i <= name.size(); ++i) {
    if (i == name.size() || name[i] == '/') {
      const std::string part = name.substr(part_begin, i - part_begin);
      if (part.empty() || part.size() > 96 || part.front() == '.' || part.find("..") != std::string::npos)
        return false;
      part_begin = i + 1;
      slashes += i < name.size();
    } else if (!std::isalnum(static_cast<unsigned char>(name[i])) && !std::strchr("-_.", name[i])) {
      return false;
    }
  }
  return slashes <= 1;
}

// The base model that an adapter is for.
struct NamedBase {
  std::string name;
  std::string where, key;  // that name it
};

NamedBase base_in_folder(const fs::path& folder) {
  NamedBase base{"", printable((folder / "adapter_config.json").string(), 400), "base_model_name_or_path"};
  const auto file = find_contained_file(folder, "adapter_config.json");
  if (!file) throw model_error("[" + base.where + "] is missing");
  const Json config =
      parse_json(read_file(*file, ErrorKind::kModel, kMaxConfigBytes), base.where, ErrorKind::kModel);
  base.name = parse_adapter_config(config, base.where).base_model_name_or_path;
  if (base.name.empty())
    throw model_error("[" + base.where + "] base_model_name_or_path is missing; it names the base model");
  return base;
}

NamedBase base_in_file(const fs::path& path) {
  const GgufFile file(path);
  const std::string name = gguf::read_adapter_keys(file).base;
  if (name.empty()) {
    throw model_error(
        "[" + file.where() +
        "] does not name its base model; write it as a PEFT folder that does: ddro-train export " +
        file.where() + " --base MODEL --out FOLDER");
  }
  return {name, file.where(), "its metadata"};
}

std::string trimmed(std::string text) {
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back()))) text.pop_back();
  return text;
}

}  // namespace

fs::path resolve_model_path(const std::string& name_or_path) {
  const std::string where = "[" + printable(name_or_path, 400) + "] ";
  std::error_code ignored;
  if (fs::is_directory(name_or_path, ignored) || is_gguf_file(name_or_path)) return name_or_path;
  if (fs::exists(name_or_path, ignored))
    throw model_error(where + "is a file; expected a Hugging Face model folder, or a file named .gguf");
  if (!is_repository_name(name_or_path)) throw model_error(where + "there is no such folder");

  std::string folder = "models--" + name_or_path;
  if (const size_t slash = folder.find('/'); slash != std::string::npos) folder.replace(slash, 1, "--");
  const fs::path repository = hub_cache() / folder;
  const fs::path reference = repository / "refs" / "main";
  if (!fs::exists(reference, ignored)) {
    throw model_error(where + "is neither a folder nor in the Hugging Face cache at " +
                      printable(hub_cache().string(), 400) + "; download it with: hf download " +
                      name_or_path);
  }
  const std::string revision = trimmed(read_file(reference, ErrorKind::kModel, 4096));
  const bool is_hash = !revision.empty() && revision.size() <= 64 &&
                       revision.find_first_not_of("0123456789abcdef") == std::string::npos;
  if (!is_hash) {
    throw model_error("[" + printable(reference.string(), 400) + "] is not a commit hash; got \"" +
                      printable(revision, 60) + "\"");
  }
  const fs::path snapshot = repository / "snapshots" / revision;
  if (!fs::is_directory(snapshot, ignored)) {
    throw model_error(where + "the cache names revision " + revision +
                      ", but its snapshot is missing; download it again with: hf download " + name_or_path);
  }
  return snapshot;
}

bool is_model_folder(const fs::path& folder) {
  std::error_code ignored;
  return is_gguf_file(folder) || fs::exists(folder / "config.json", ignored) || is_adapter(folder);
}

bool is_adapter(const fs::path& path) {
  if (is_gguf_file(path)) return gguf::is_adapter(GgufFile(path));
  std::error_code ignored;
  const auto has = [&](const char* name) { return fs::exists(path / name, ignored); };
  if (!has("adapter_config.json")) return false;
  return has("adapter_model.safetensors") || has("adapter_model.bin") || !has("config.json");
}

fs::path adapter_base(const fs::path& adapter_path) {
  const NamedBase base =
      is_gguf_file(adapter_path) ? base_in_file(adapter_path) : base_in_folder(adapter_path);
  const fs::path folder = is_gguf_file(adapter_path) ? adapter_path.parent_path() : adapter_path;
  if (!is_model_folder(base.name) && is_model_folder(folder / base.name)) return folder / base.name;
  try {
    return resolve_model_path(base.name);
  } catch (const Error& error) {
    throw model_error("[" + base.where + "] the base model that " + base.key +
                      " names is not there: " + error.what());
  }
}

std::string recorded_name(const std::string& name_or_path) {
  std::error_code ignored;
  if (!fs::exists(name_or_path, ignored)) return name_or_path;
  fs::path path = fs::absolute(name_or_path).lexically_normal();
  if (!path.has_filename()) path = path.parent_path();
  return path.string();
}

}  // namespace ddro::models
