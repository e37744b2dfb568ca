#include "run/restarts.h"

#include <cstdlib>
#include <optional>
#include <set>

#include "ddro/base/files.h"
#include "ddro/checkpoint/checkpoint.h"
#include "run/reference.h"

namespace ddro::run {
namespace {

constexpr std::int64_t kMostInVain = 3;
constexpr const char* kFile = "restarts.json";

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

bool is_job() { return std::getenv("SLURM_JOB_ID") != nullptr; }

// What a start found, and how many restarts in a row had been in vain by then.
struct Found {
  Json what;
  std::int64_t in_vain = 0;
};

std::optional<Found> read_found(const std::filesystem::path& path) {
  try {
    const Json before = read_json_file(path.string(), ErrorKind::kModel);
    return Found{before.at("found"), before.at("in_vain").get<std::int64_t>()};
  } catch (const Error&) {
  } catch (const Json::exception&) {
  }
  return std::nullopt;
}

void note(const std::filesystem::path& output_dir, const std::optional<Found>& before, const Json& found) {
  const bool again = is_restart() && before && before->what == found;
  const std::int64_t in_vain = again ? before->in_vain + 1 : 0;
  if (in_vain > kMostInVain) {
    throw save_error(
        "[" + (output_dir / "checkpoints").string() + "] " + std::to_string(kMostInVain) +
        " restarts of the job in a row have saved nothing; what ended them is in its log (a time "
        "limit may be too short for what comes before the first step); change that and submit it "
        "again");
  }
  write_file_atomic(output_dir / kFile, Json{{"found", found}, {"in_vain", in_vain}}.dump() + "\n");
}

}  // namespace

bool is_restart() {
  const char* count = std::getenv("SLURM_RESTART_COUNT");
  return count != nullptr && std::strtol(count, nullptr, 10) > 0;
}

void check_restart(const LoadedRun& run) {
  if (!is_job()) return;
  const std::filesystem::path output_dir = run.config.train.output_dir;
  note(output_dir, read_found(output_dir / kFile),
       {{"checkpoints", checkpoint_names(run)}, {"reference_bytes", cached_reference_bytes(run)}});
}

void check_interrupted_start(const std::filesystem::path& output_dir) {
  if (!is_job()) return;
  make_folder(output_dir);
  const checkpoint::RunLock lock(output_dir, ErrorKind::kInterrupted);
  const auto before = read_found(output_dir / kFile);
  note(output_dir, before, before ? before->what : Json());
}

}  // namespace ddro::run
