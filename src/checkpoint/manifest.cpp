#include "checkpoint/manifest.h"

#include <algorithm>
#include <charconv>
#include <cstdio>

#include "ddro/base/files.h"
#include "ddro/base/hash.h"

namespace ddro::checkpoint {
namespace {

constexpr int kSchemaVersion = 1;
constexpr const char* kStepPrefix = "step_";
constexpr size_t kStepDigits = 6;

// Adds the hash of everything else, so that the manifest is its own check.
std::string seal(Json manifest) {
  manifest["xxh3_128"] = hash_text(manifest.dump());
  return manifest.dump(2) + "\n";
}

const Json* member(const Json& object, const char* name) {
  if (!object.is_object()) return nullptr;
  const auto found = object.find(name);
  return found == object.end() ? nullptr : &*found;
}

bool is_plain(const std::string& name) {
  return !name.empty() && name != "." && name != ".." &&
         name.find_first_of(std::string("/\0", 2)) == std::string::npos;
}

bool is_file_entry(const Json& entry) {
  const Json* bytes = member(entry, "bytes");
  const Json* hash = member(entry, "xxh3_128");
  return bytes != nullptr && bytes->is_number_unsigned() && hash != nullptr && hash->is_string();
}

}  // namespace

std::string step_folder_name(std::int64_t step) {
  char name[32];
  std::snprintf(name, sizeof name, "%s%06lld", kStepPrefix, static_cast<long long>(step));
  return name;
}

std::optional<std::int64_t> step_of_folder_name(const std::string& name) {
  if (!name.starts_with(kStepPrefix)) return std::nullopt;
  const std::string digits = name.substr(std::string(kStepPrefix).size());
  if (digits.size() < kStepDigits || digits.find_first_not_of("0123456789") != std::string::npos)
    return std::nullopt;
  std::int64_t step = 0;
  if (std::from_chars(digits.data(), digits.data() + digits.size(), step).ec != std::errc())
    return std::nullopt;
  return step;
}

bool is_file_name(const std::string& name) {
  const size_t slash = name.find('/');
  if (slash == std::string::npos) return is_plain(name) && name != kManifestName;
  return is_plain(name.substr(0, slash)) && is_plain(name.substr(slash + 1));
}

std::string manifest_text(std::int64_t step, const Json& files, const Json& description) {
  Json manifest = {{"schema_version", kSchemaVersion}, {"step", step}};
  for (const auto& [key, value] : description.items()) {
    DDRO_CHECK(!manifest.contains(key) && key != "files" && key != "complete" && key != "xxh3_128",
               "the manifest has its own " + key);
    manifest[key] = value;
  }
  manifest["files"] = files;
  manifest["complete"] = true;
  return seal(std::move(manifest));
}

Json read_manifest(const std::filesystem::path& folder) {
  const std::filesystem::path path = folder / kManifestName;
  const std::string name = printable(path.string(), 400);
  const auto refuse = [&](const std::string& what) -> Error { return model_error("[" + name + "] " + what); };
  const std::string text = read_file(path, ErrorKind::kModel, std::uint64_t{1} << 28);
  Json manifest = parse_json(text, name, ErrorKind::kModel);
  const Json* version = member(manifest, "schema_version");
  if (version == nullptr) throw refuse("not the manifest of a checkpoint: schema_version is missing");
  if (*version != kSchemaVersion) {
    throw refuse("schema_version is not known; got " + printable(version->dump()) + ", expected " +
                 std::to_string(kSchemaVersion));
  }
  Json rest = manifest;
  rest.erase("xxh3_128");
  if (seal(rest) != text) throw refuse("is damaged: its content does not have the hash that it states");
  const Json* step = member(manifest, "step");
  const Json* files = member(manifest, "files");
  const Json* complete = member(manifest, "complete");
  if (complete == nullptr || *complete != true) throw refuse("the checkpoint is not complete");
  if (step == nullptr || !step->is_number_unsigned() || files == nullptr || !files->is_object()) {
    throw refuse("step or files are missing");
  }
  for (const auto& [file, entry] : files->items()) {
    if (!is_file_name(file) || !is_file_entry(entry)) throw refuse("a wrong entry for " + printable(file));
  }
  const auto expected = step_of_folder_name(folder.filename().string());
  if (expected && *step != *expected) {
    throw refuse("is of another checkpoint; got step " + step->dump() + ", expected " +
                 std::to_string(*expected));
  }
  return manifest;
}

}  // namespace ddro::checkpoint
