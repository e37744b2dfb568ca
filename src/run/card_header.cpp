#include "run/card_header.h"

#include <algorithm>
#include <cctype>
#include <optional>
#include <sstream>
#include <string_view>
#include <vector>

#include "ddro/base/files.h"

namespace ddro::run {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kMaxCardBytes = std::uint64_t{1} << 20;
constexpr const char* kDashes = "---";

// The repository whose snapshot in the hub's cache a path leads into; `kind`: models or datasets.
std::optional<std::string> repository_of(const fs::path& path, const std::string& kind) {
  const std::string prefix = kind + "--";
  const fs::path whole = fs::absolute(path).lexically_normal();
  for (auto part = whole.begin(); part != whole.end(); ++part) {
    std::string name = part->string();
    if (!name.starts_with(prefix) || std::next(part) == whole.end() || *std::next(part) != "snapshots")
      continue;
    name.erase(0, prefix.size());
    if (const size_t dashes = name.find("--"); dashes != std::string::npos) name.replace(dashes, 2, "/");
    return name;
  }
  return std::nullopt;
}

fs::path last_component(const fs::path& path) {
  const fs::path normal = path.lexically_normal();
  return normal.has_filename() ? normal.filename() : normal.parent_path().filename();
}

// What is in the quotes of `license: "mit"`, or plain behind the colon; nothing for what is neither.
std::string scalar_of(const std::string& text) {
  const size_t begin = text.find_first_not_of(" \"'"), end = text.find_last_not_of(" \"'\r");
  if (begin == std::string::npos) return "";
  const std::string value = text.substr(begin, end - begin + 1);
  const bool is_plain = std::all_of(value.begin(), value.end(), [](unsigned char c) {
    return std::isalnum(c) || std::string_view("._-:/").find(static_cast<char>(c)) != std::string_view::npos;
  });
  return is_plain && value.size() <= 200 ? value : "";
}

std::string entry(const std::string& key, const std::string& value) {
  return key + ": " + Json(printable(value)).dump() + "\n";  // a JSON text is one of YAML
}

std::string entries(const std::string& key, const std::vector<std::string>& values) {
  std::string text;
  for (const std::string& value : values) text += "- " + Json(printable(value)).dump() + "\n";
  return text.empty() ? "" : key + ":\n" + text;
}

// The licence's lines in the header of the base's own card.
std::string licence(const fs::path& base) {
  const fs::path card = base / "README.md";
  std::error_code ignored;
  if (!fs::is_regular_file(card, ignored) || fs::file_size(card, ignored) > kMaxCardBytes) return "";
  std::string found;
  std::istringstream lines(read_file(card, ErrorKind::kModel));
  std::string line;
  if (!std::getline(lines, line) || !line.starts_with(kDashes)) return "";
  while (std::getline(lines, line) && !line.starts_with(kDashes)) {
    for (const char* key : {"license", "license_name", "license_link"}) {
      if (!line.starts_with(std::string(key) + ":")) continue;
      const std::string value = scalar_of(line.substr(std::string_view(key).size() + 1));
      if (!value.empty()) found += entry(key, value);
    }
  }
  return found;
}

std::vector<std::string> data_sets(const LoadedRun& run) {
  std::vector<std::string> names;
  for (const data::TrainFiles& files : run.config.data.train_files) {
    const auto name = repository_of(files.pattern, "datasets");
    if (name && std::find(names.begin(), names.end(), *name) == names.end()) names.push_back(*name);
  }
  return names;
}

std::vector<std::string> tags(const LoadedRun& run) {
  std::vector<std::string> tags = {"ddro-train"};
  for (const losses::LossType type : run.config.objective.loss_type.all)
    tags.push_back(losses::loss_name(type));
  if (run.adapter) tags.emplace_back(run.adapter->spec.dora ? "dora" : "lora");
  return tags;
}

}  // namespace

std::string public_name(const fs::path& path) {
  for (const char* kind : {"models", "datasets"}) {
    if (const auto repository = repository_of(path, kind)) return *repository;
  }
  const bool leads_out = path.is_absolute() || std::find(path.begin(), path.end(), "..") != path.end();
  return (leads_out ? last_component(path) : path.lexically_normal()).string();
}

std::string base_name(const LoadedRun& run) {
  const std::string& given = run.config.model.model_name_or_path;
  std::error_code ignored;
  if (!fs::exists(given, ignored)) return given;
  return repository_of(given, "models").value_or(last_component(given).string());
}

std::string card_header(const LoadedRun& run) {
  return std::string(kDashes) + "\n" + entry("base_model", base_name(run)) +
         entry("library_name", run.adapter ? kAdapterLibrary : kModelLibrary) +
         entry("pipeline_tag", "text-generation") + licence(run.base_model.path) +
         entries("tags", tags(run)) + entries("datasets", data_sets(run)) + kDashes + "\n";
}

}  // namespace ddro::run
