// A state on disk, whole or absent. A checkpoint is a folder step_NNNNNN with data files and, written last,
// manifest.json (sizes and hashes of every file, "complete": true). It is written under a temporary name, synced and
// renamed; a folder without a manifest that verifies is never used.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "ddro/base/json.h"
#include "ddro/base/tensor_io.h"

namespace ddro::checkpoint {

class CheckpointWriter {
 public:
  // Makes <folder>/step_NNNNNN.tmp; leftovers of an earlier attempt at the same step are removed.
  CheckpointWriter(const std::filesystem::path& folder, std::int64_t step);
  // Without commit() the temporary folder is removed.
  ~CheckpointWriter();
  CheckpointWriter(const CheckpointWriter&) = delete;
  CheckpointWriter& operator=(const CheckpointWriter&) = delete;

  void add_tensors(const std::string& file_name, const NamedTensors& tensors);
  void add_text(const std::string& file_name, const std::string& text);
  // Writes the manifest with `description` merged in, syncs, renames. Error(kSave) leaves nothing behind.
  std::filesystem::path commit(const Json& description);

 private:
  std::filesystem::path final_path_;
  std::filesystem::path temporary_path_;
  Json files_;
  std::int64_t step_ = 0;
  bool committed_ = false;
};

struct Checkpoint {
  std::filesystem::path path;
  std::int64_t step = 0;
  Json manifest;
};

// Checks manifest, sizes and hashes of every file; Error(kModel) names the file and what is wrong. Files that the
// manifest does not list are refused too.
Checkpoint open_checkpoint(const std::filesystem::path& path);

// The newest checkpoint of `folder` that verifies, or nullopt when there is none at all. Newer ones that do not verify
// are each logged as a warning with the reason; when checkpoints exist and none verifies: Error(kModel).
std::optional<Checkpoint> newest_checkpoint(const std::filesystem::path& folder);

// Removes the oldest checkpoints beyond `keep` (>= 1), each renamed out of the way first, and temporary leftovers.
void rotate_checkpoints(const std::filesystem::path& folder, std::int64_t keep);

// Exclusive ownership of a run's output folder (flock on <folder>/.lock, which holds host, pid and start time).
// Error(kInput) naming the holder when another process has it.
class RunLock {
 public:
  explicit RunLock(const std::filesystem::path& folder);
  ~RunLock();
  RunLock(const RunLock&) = delete;
  RunLock& operator=(const RunLock&) = delete;

 private:
  int descriptor_ = -1;
};

}  // namespace ddro::checkpoint
