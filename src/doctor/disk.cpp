// What saving a checkpoint asks of a disk: write, fsync, rename.
#include <unistd.h>

#include <chrono>
#include <string>
#include <vector>

#include "ddro/base/error.h"
#include "ddro/base/files.h"
#include "ddro/base/progress.h"
#include "doctor/checks.h"

namespace ddro::doctor {
namespace {

namespace fs = std::filesystem;

constexpr size_t kBytes = 64 << 20;

double seconds_of(const std::function<void()>& action) {
  const auto start = std::chrono::steady_clock::now();
  action();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// Removes the file under both of its names, however the check ends.
struct Trial {
  fs::path file, renamed;

  explicit Trial(const fs::path& folder)
      : file(folder / (".ddro-train-doctor." + std::to_string(getpid()))),
        renamed(file.string() + ".renamed") {}
  ~Trial() {
    std::error_code ignored;
    fs::remove(file, ignored);
    fs::remove(renamed, ignored);
  }
  Trial(const Trial&) = delete;
  Trial& operator=(const Trial&) = delete;
};

Finding write_trial(const fs::path& folder) {
  const Trial trial(folder);
  const std::string megabyte(1 << 20, 'x');
  DurableFile file(trial.file);
  const double write = seconds_of([&] {
    for (size_t written = 0; written < kBytes; written += megabyte.size()) file.write(megabyte);
  });
  const double sync = seconds_of([&] { file.sync(); });
  file.close();
  const double rename = seconds_of([&] { rename_durable(trial.file, trial.renamed); });
  const double rate = static_cast<double>(kBytes) / (write + sync);
  return {"disk_write",
          Status::kOk,
          printable(rate / 1e6, "%.0f MB/s") + ", fsync included; rename and its fsync " +
              printable(1e3 * rename, "%.1f ms"),
          {{"write_s", write}, {"fsync_s", sync}, {"rename_s", rename}, {"bytes", kBytes}}};
}

Finding try_writing(const fs::path& folder) {
  try {
    return write_trial(folder);
  } catch (const Error& error) {
    return {"disk_write", Status::kFailed, error.what(), nullptr,
            "nothing can be saved there; make room, or train into another folder"};
  }
}

Finding free_space(const fs::path& folder) {
  std::error_code failed;
  const fs::space_info info = fs::space(folder, failed);
  if (failed) return {"disk_space", Status::kWarning, "not known: " + failed.message()};
  return {"disk_space", Status::kOk,
          gigabytes(static_cast<double>(info.available)) + " free in " + printable(folder.string(), 400),
          info.available};
}

}  // namespace

Findings check_disk(const Machine& machine) {
  return {free_space(machine.folder), try_writing(machine.folder)};
}

}  // namespace ddro::doctor
