#include "run/restarts.h"

#include <algorithm>
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

// As restarts.json has it.
struct Record {
  Json found;                // by the newest start that came to look
  std::int64_t in_vain = 0;  // starts in a row before that one
  std::int64_t begun = 0;    // restarts since, which have not come so far
};

std::optional<Record> read_record(const std::filesystem::path& path) {
  try {
    const Json before = read_json_file(path.string(), ErrorKind::kModel);
    return Record{before.at("found"), before.at("in_vain").get<std::int64_t>(),
                  before.at("begun").get<std::int64_t>()};
  } catch (const Error&) {
  } catch (const Json::exception&) {
  }
  return std::nullopt;
}

void write_record(const std::filesystem::path& output_dir, const Record& record) {
  if (std::max(record.in_vain, record.begun) > kMostInVain) {
    throw save_error(
        "[" + (output_dir / "checkpoints").string() + "] " + std::to_string(kMostInVain) +
        " restarts of the job in a row have saved nothing; what ended them is in its log (ranks may not "
        "reach each other, or a time limit be too short for what comes before the first step); change that "
        "and submit it again");
  }
  write_file_atomic(
      output_dir / kFile,
      Json{{"found", record.found}, {"in_vain", record.in_vain}, {"begun", record.begun}}.dump() + "\n");
}

}  // namespace

bool is_restart() {
  const char* count = std::getenv("SLURM_RESTART_COUNT");
  return count != nullptr && std::strtol(count, nullptr, 10) > 0;
}

void begin_start(const std::filesystem::path& output_dir) {
  const std::filesystem::path file = output_dir / kFile;
  if (!is_job() || (!is_restart() && !std::filesystem::exists(file))) return;
  make_folder(output_dir);
  const checkpoint::RunLock lock(output_dir, is_restart() ? ErrorKind::kInterrupted : ErrorKind::kInput);
  if (!is_restart()) {  // what is there is of another job
    std::error_code ignored;
    std::filesystem::remove(file, ignored);
    return;
  }
  Record record = read_record(file).value_or(Record());
  ++record.begun;
  write_record(output_dir, record);
}

void check_restart(const LoadedRun& run) {
  if (!is_job()) return;
  const std::filesystem::path output_dir = run.config.train.output_dir;
  const Json found = {{"checkpoints", checkpoint_names(run)},
                      {"reference_bytes", cached_reference_bytes(run)}};
  const auto before = read_record(output_dir / kFile);
  // A restart that has come here from another run, the fit of its reference, has not begun with this one.
  const bool again = is_restart() && before && before->found == found;
  write_record(
      output_dir,
      {.found = found, .in_vain = again ? before->in_vain + std::max<std::int64_t>(before->begun, 1) : 0});
}

}  // namespace ddro::run
