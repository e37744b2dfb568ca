#include "run/restarts.h"

#include <cstdlib>
#include <optional>
#include <set>

#include "ddro/base/files.h"
#include "run/reference.h"

namespace ddro::run {
namespace {

constexpr std::int64_t kMostInVain = 3;

// By their names: whether they verify is seen when one is read.
std::set<std::string> checkpoint_names(const LoadedRun& run) {
  std::set<std::string> names;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(run.output("checkpoints"), ignored)) {
    if (std::filesystem::exists(entry.path() / "manifest.json", ignored))
      names.insert(entry.path().filename().string());
  }
  return names;
}

// Of the start before this one, if it found the same: how many restarts in a row had been in vain.
std::optional<std::int64_t> in_vain_before(const std::filesystem::path& path, const Json& found) {
  try {
    const Json before = read_json_file(path.string(), ErrorKind::kModel);
    if (before.at("found") == found) return before.at("in_vain").get<std::int64_t>();
  } catch (const Error&) {
  } catch (const Json::exception&) {
  }
  return std::nullopt;
}

}  // namespace

bool is_restart() {
  const char* count = std::getenv("SLURM_RESTART_COUNT");
  return count != nullptr && std::strtol(count, nullptr, 10) > 0;
}

void check_restart(const LoadedRun& run) {
  if (std::getenv("SLURM_JOB_ID") == nullptr) return;
  const auto path = run.output("restarts.json");
  const Json found = {{"checkpoints", checkpoint_names(run)},
                      {"reference_bytes", cached_reference_bytes(run)}};
  const auto before = is_restart() ? in_vain_before(path, found) : std::nullopt;
  const std::int64_t in_vain = before ? *before + 1 : 0;
  if (in_vain > kMostInVain) {
    throw save_error(
        "[" + run.output("checkpoints").string() + "] " + std::to_string(kMostInVain) +
        " restarts of the job in a row have saved nothing; what ended them is in its log (a time "
        "limit may be too short for what comes before the first step); change that and submit it "
        "again");
  }
  write_file_atomic(path, Json{{"found", found}, {"in_vain", in_vain}}.dump() + "\n");
}

}  // namespace ddro::run
