// Files that are whole or absent. Every function that writes, but replace_file, syncs what it wrote before it
// returns; failures throw Error(kSave) that names the path and the system's reason. Reading throws
// Error(kInput) unless `kind` says otherwise.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "ddro/base/error.h"

namespace ddro {

// The whole file. Refuses folders and files larger than `max_bytes`.
std::string read_file(const std::filesystem::path& path, ErrorKind kind = ErrorKind::kInput,
                      std::uint64_t max_bytes = std::uint64_t{1} << 32);

// A private, copy-on-write mapping of a whole file: in-place changes stay in this process. The mapping
// outlives the file's name but not a truncation: the file must not shrink while mapped.
class MappedFile {
 public:
  explicit MappedFile(const std::filesystem::path& path, ErrorKind kind = ErrorKind::kModel);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  std::span<std::byte> bytes() const { return {data_, size_}; }
  const std::filesystem::path& path() const { return path_; }
  // Takes the pages read so far out of the process's memory; the next access reads them again. What was
  // written through bytes() is lost.
  void release_pages() const;

 private:
  std::filesystem::path path_;
  std::byte* data_ = nullptr;
  size_t size_ = 0;
};

// Sequential writer that syncs on close: of a new file (an existing one is refused: another reader may have
// it mapped), or behind the end of a file that is there. A symbolic link is refused: what is written stays
// where it seems to be. Without close() the destructor leaves a partial file
// behind: what must be whole is written under a temporary name and renamed (write_file_atomic, or a temporary
// folder). A failed write may leave a part of its bytes.
class DurableFile {
 public:
  enum class Mode { kNew, kAppend };
  explicit DurableFile(const std::filesystem::path& path, Mode mode = Mode::kNew);
  ~DurableFile();
  DurableFile(const DurableFile&) = delete;
  DurableFile& operator=(const DurableFile&) = delete;

  void write(std::span<const std::byte> bytes);
  void write(std::string_view text);
  void cut(std::uint64_t size);                 // takes away what is behind
  void sync();                                  // what was written so far; writing can go on
  void close();                                 // sync, close
  std::uint64_t size() const { return size_; }  // bytes written

 private:
  std::filesystem::path path_;
  int descriptor_ = -1;
  std::uint64_t size_ = 0;
};

// Temporary name in the same folder, write, sync, rename, sync the folder. Replaces a regular file; anything
// else of this name (a folder, a device) is refused.
void write_file_atomic(const std::filesystem::path& path, std::string_view text);

// The same for content that is not in memory as a whole: `write` is given the temporary file. What it throws
// is passed on, and leaves nothing behind.
void write_file_atomic(const std::filesystem::path& path, const std::function<void(DurableFile&)>& write);

// Replaces a file at once for its readers, but syncs nothing: for what tells how a process is at the moment,
// and need not outlive the machine.
void replace_file(const std::filesystem::path& path, std::string_view text);

// Makes the entries of a folder durable (fsync on the folder itself).
void sync_folder(const std::filesystem::path& folder);

// Throws Error(kSave) with both numbers when the disk of `folder` has less than `bytes` left for us, what it
// keeps for root counted where we are root. Disks that do not say are taken to have enough.
void require_free_space(const std::filesystem::path& folder, std::uint64_t bytes);

// Creates `folder` and its parents, each made durable; Error(kSave) with the reason when it cannot.
void make_folder(const std::filesystem::path& folder);

// rename(2), then sync of the parent folder.
void rename_durable(const std::filesystem::path& from, const std::filesystem::path& to);

// Exchanges the names of two files or folders of one parent in one step, then syncs that. False, and nothing
// is changed, where the file system cannot.
bool exchange_names(const std::filesystem::path& a, const std::filesystem::path& b);

// A named point in our own code at which a test may end or halt the process:
// DDRO_FAILPOINT=name[:count[:stop]] in the environment sends SIGKILL, or SIGSTOP, at the count-th visit
// (default 1). Does nothing otherwise.
void failpoint(const char* name);

}  // namespace ddro
