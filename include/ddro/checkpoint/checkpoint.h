// A state on disk, whole or absent. A checkpoint is a folder step_NNNNNN with data files and, written last,
// manifest.json. It is written under a temporary name, synced and renamed; a folder whose manifest and files
// do not verify is never used. One process at a time writes into a folder of checkpoints (RunLock).
//
// manifest.json: {"schema_version": 1, "step": N, <description>, "files": {NAME: {"bytes": n, "xxh3_128":
// hex}}, "complete": true, "xxh3_128": of the manifest without this member}.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "ddro/base/file_lock.h"
#include "ddro/base/json.h"
#include "ddro/base/tensor_io.h"

namespace ddro::checkpoint {

// Files that one of several processes adds to a checkpoint while another makes it. All members throw
// Error(kSave) naming the path when something cannot be written.
class CheckpointPart {
 public:
  // <folder>/step_NNNNNN.tmp is there.
  CheckpointPart(const std::filesystem::path& folder, std::int64_t step);

  // Names are plain and not manifest.json; a text's may be FOLDER/NAME.
  // What a fetch throws is passed on.
  void add_tensors(const std::string& file_name, const TensorSources& tensors,
                   const std::map<std::string, std::string>& metadata = {});
  void add_text(const std::string& file_name, const std::string& text);
  // As the manifest has them.
  const Json& files() const { return files_; }

 protected:
  std::filesystem::path final_path_;
  std::filesystem::path temporary_path_;
  Json files_ = Json::object();

 private:
  void record(const std::string& file_name, std::string hash);
};

class CheckpointWriter : public CheckpointPart {
 public:
  // Makes <folder>/step_NNNNNN.tmp; leftovers of an earlier attempt at the same step are removed.
  CheckpointWriter(const std::filesystem::path& folder, std::int64_t step);
  // Without commit() the temporary folder is removed.
  ~CheckpointWriter();
  CheckpointWriter(const CheckpointWriter&) = delete;
  CheckpointWriter& operator=(const CheckpointWriter&) = delete;

  // Those of another part of this checkpoint, which are on the disk.
  void include(const Json& files) { files_.update(files); }
  // Writes the manifest with the members of `description` merged in, syncs, renames; a checkpoint of this
  // step that is there already is replaced in one step. Returns its path.
  std::filesystem::path commit(const Json& description);

 private:
  std::int64_t step_ = 0;
  bool committed_ = false;
};

struct Checkpoint {
  std::filesystem::path path;
  std::int64_t step = 0;
  Json manifest;
};

// Checks manifest, sizes and hashes of every file; Error(kModel) names the file and what is wrong. Files that
// the manifest does not list are refused too, and a folder step_N whose manifest is of another step.
Checkpoint open_checkpoint(const std::filesystem::path& path);

// The newest checkpoint of `folder` that verifies, or nullopt when there is none at all. Newer ones that do
// not verify are each logged as a warning with the reason; when checkpoints exist and none verifies:
// Error(kModel).
std::optional<Checkpoint> newest_checkpoint(const std::filesystem::path& folder);

// Removes the oldest checkpoints beyond `keep` (>= 1), each renamed out of the way first, and what
// interrupted writers and rotations left. When the newest checkpoint does not verify, no checkpoint is
// removed and a warning says so.
void rotate_checkpoints(const std::filesystem::path& folder, std::int64_t keep);

// Renames the checkpoints of `folder` after `step` to step_N.abandoned, so that a run that went back to
// `step` does not pick them up.
void set_aside_after(const std::filesystem::path& folder, std::int64_t step);

// Exclusive ownership of a run's output folder, which exists: a FileLock on <folder>/.lock. Error(when_held)
// naming the holder when another process has it.
class RunLock {
 public:
  explicit RunLock(const std::filesystem::path& folder, ErrorKind when_held = ErrorKind::kInput);

 private:
  FileLock lock_;
};

}  // namespace ddro::checkpoint
