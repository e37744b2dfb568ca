#include "ddro/base/files.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <vector>

#include "base/file_calls.h"
#include "ddro/base/activity.h"

namespace ddro {
namespace {

using files::reason;
using files::where;

struct OpenFile {
  int descriptor = -1;
  std::uint64_t size = 0;
};

OpenFile open_regular(const std::filesystem::path& path, ErrorKind kind) {
  OpenFile file;
  // O_NONBLOCK: opening a FIFO must not wait for a writer; it has no effect on regular files.
  file.descriptor = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (file.descriptor < 0) throw Error(kind, where(path) + "cannot be opened: " + reason());
  struct stat info {};
  if (fstat(file.descriptor, &info) != 0 || !S_ISREG(info.st_mode)) {
    close(file.descriptor);
    throw Error(kind, where(path) +
                          (S_ISDIR(info.st_mode) ? "is a folder; expected a file" : "is not a regular file"));
  }
  file.size = static_cast<std::uint64_t>(info.st_size);
  return file;
}

struct FreeSpace {
  std::uint64_t bytes = 0;  // for everybody
  std::uint64_t reserved =
      0;  // besides, for root, who may yet be refused them (in a container, by a strict mount)
};

std::optional<FreeSpace> free_space(const std::filesystem::path& folder) {
  struct statvfs info {};
  if (statvfs(folder.empty() ? "." : folder.c_str(), &info) != 0 || info.f_blocks == 0) return std::nullopt;
  const std::uint64_t reserved =
      geteuid() == 0 && info.f_bfree > info.f_bavail ? info.f_bfree - info.f_bavail : 0;
  return FreeSpace{std::uint64_t{info.f_bavail} * info.f_frsize, reserved * info.f_frsize};
}

std::string text_of(const FreeSpace& space) {
  return std::to_string(space.bytes) + " free" +
         (space.reserved > 0 ? " and " + std::to_string(space.reserved) + " reserved" : "");
}

void sync_path(const std::filesystem::path& path, int flags) {
  const Doing disk(Activity::kDisk);
  const int descriptor = open(path.c_str(), O_RDONLY | O_CLOEXEC | flags);
  if (descriptor < 0) throw save_error(where(path) + "cannot be opened to sync it: " + reason());
  const int result = fsync(descriptor);
  const std::string why = reason();
  close(descriptor);
  if (result != 0) throw save_error(where(path) + "cannot be synced: " + why);
}

void rename_into_place(const std::filesystem::path& from, const std::filesystem::path& to) {
  if (::rename(from.c_str(), to.c_str()) == 0) return;
  throw save_error(where(to) + "cannot be renamed into place: " + reason());
}

}  // namespace

namespace files {

std::string reason() { return std::strerror(errno); }

std::string where(const std::filesystem::path& path) { return "[" + printable(path.string(), 400) + "] "; }

void write_all(int descriptor, std::span<const std::byte> bytes, const std::filesystem::path& path) {
  const Doing disk(Activity::kDisk);
  size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t wrote = ::write(descriptor, bytes.data() + done, bytes.size() - done);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) {
      const std::string why = reason();
      const auto space = free_space(path.parent_path());
      throw save_error(where(path) + "cannot be written: " + why + "; " +
                       std::to_string(bytes.size() - done) + " more bytes needed" +
                       (space ? ", " + text_of(*space) : ""));
    }
    done += static_cast<size_t>(wrote);
  }
}

void refuse_irregular(const std::filesystem::path& path) {
  std::error_code ignored;
  const auto status = std::filesystem::status(path, ignored);
  if (std::filesystem::exists(status) && !std::filesystem::is_regular_file(status))
    throw save_error(where(path) + "exists and is not a regular file");
}

}  // namespace files

std::string read_file(const std::filesystem::path& path, ErrorKind kind, std::uint64_t max_bytes) {
  const OpenFile file = open_regular(path, kind);
  if (file.size > max_bytes) {
    close(file.descriptor);
    throw Error(kind, where(path) + "is too large; got " + std::to_string(file.size) + " bytes, at most " +
                          std::to_string(max_bytes) + " are read");
  }
  std::string content(file.size, '\0');
  size_t filled = 0;
  while (filled < content.size()) {
    const ssize_t got = ::read(file.descriptor, content.data() + filled, content.size() - filled);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      const std::string why = reason();
      close(file.descriptor);
      throw Error(kind, where(path) + "cannot be read: " + why);
    }
    if (got == 0) break;
    filled += static_cast<size_t>(got);
  }
  close(file.descriptor);
  content.resize(filled);
  return content;
}

MappedFile::MappedFile(const std::filesystem::path& path, ErrorKind kind) : path_(path) {
  const OpenFile file = open_regular(path, kind);
  size_ = file.size;
  if (size_ > 0) {
    // Few pages are ever changed, if any: none are set aside, and the file may be larger than memory.
    void* data =
        mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE, file.descriptor, 0);
    const std::string why = reason();
    close(file.descriptor);
    if (data == MAP_FAILED) throw Error(kind, where(path) + "cannot be mapped: " + why);
    data_ = static_cast<std::byte*>(data);
  } else {
    close(file.descriptor);
  }
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) munmap(data_, size_);
}

void MappedFile::release_pages() const {
  if (data_ != nullptr) madvise(data_, size_, MADV_DONTNEED);
}

DurableFile::DurableFile(const std::filesystem::path& path, Mode mode) : path_(path) {
  const bool is_new = mode == Mode::kNew;
  descriptor_ =
      open(path.c_str(), O_WRONLY | O_CLOEXEC | O_NOFOLLOW | (is_new ? O_CREAT | O_EXCL : O_APPEND), 0666);
  if (descriptor_ < 0)
    throw save_error(where(path) + "cannot be " + (is_new ? "created" : "written") + ": " + reason());
}

DurableFile::~DurableFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

void DurableFile::write(std::span<const std::byte> bytes) {
  files::write_all(descriptor_, bytes, path_);
  size_ += bytes.size();
}

void DurableFile::write(std::string_view text) { write(std::as_bytes(std::span(text))); }

void DurableFile::cut(std::uint64_t size) {
  if (ftruncate(descriptor_, static_cast<off_t>(size)) != 0)
    throw save_error(where(path_) + "cannot be cut: " + reason());
}

void DurableFile::sync() {
  const Doing disk(Activity::kDisk);
  if (fsync(descriptor_) != 0) throw save_error(where(path_) + "cannot be synced: " + reason());
}

void DurableFile::close() {
  sync();
  const int result = ::close(descriptor_);
  descriptor_ = -1;
  if (result != 0) throw save_error(where(path_) + "cannot be closed: " + reason());
}

void write_file_atomic(const std::filesystem::path& path, std::string_view text) {
  write_file_atomic(path, [text](DurableFile& file) { file.write(text); });
}

void write_file_atomic(const std::filesystem::path& path, const std::function<void(DurableFile&)>& write) {
  files::refuse_irregular(path);
  const std::filesystem::path temporary = path.string() + ".tmp";
  std::error_code ignored;
  std::filesystem::remove(temporary, ignored);
  try {
    DurableFile file(temporary);
    write(file);
    file.close();
    rename_durable(temporary, path);
  } catch (...) {
    std::filesystem::remove(temporary, ignored);
    throw;
  }
}

void replace_file(const std::filesystem::path& path, std::string_view text) {
  const std::filesystem::path temporary = path.string() + ".tmp";
  std::error_code ignored;
  std::filesystem::remove(temporary, ignored);
  try {
    DurableFile(temporary).write(text);
    rename_into_place(temporary, path);
  } catch (...) {
    std::filesystem::remove(temporary, ignored);
    throw;
  }
}

void sync_folder(const std::filesystem::path& folder) {
  sync_path(folder.empty() ? std::filesystem::path(".") : folder, O_DIRECTORY);
}

void require_free_space(const std::filesystem::path& folder, std::uint64_t bytes) {
  const auto space = free_space(folder);
  if (!space || space->bytes + space->reserved >= bytes) return;
  throw save_error(where(folder) + "not enough space on the disk; " + std::to_string(bytes) +
                   " bytes needed, " + text_of(*space));
}

void make_folder(const std::filesystem::path& folder) {
  std::filesystem::path path = folder.lexically_normal();
  if (path.filename().empty()) path = path.parent_path();  // a trailing slash
  std::vector<std::filesystem::path> missing;
  std::error_code ignored;
  for (auto at = path; !at.empty() && !std::filesystem::exists(at, ignored); at = at.parent_path())
    missing.push_back(at);
  for (auto made = missing.rbegin(); made != missing.rend(); ++made) {
    if (mkdir(made->c_str(), 0777) != 0 && errno != EEXIST) {
      throw save_error(where(*made) + "cannot be created: " + reason());
    }
    sync_folder(made->parent_path());
  }
  if (!std::filesystem::is_directory(path, ignored)) {
    throw save_error(where(folder) + "cannot be created: a file of this name exists");
  }
}

void rename_durable(const std::filesystem::path& from, const std::filesystem::path& to) {
  rename_into_place(from, to);
  sync_folder(to.parent_path());
}

bool exchange_names(const std::filesystem::path& a, const std::filesystem::path& b) {
  if (renameat2(AT_FDCWD, a.c_str(), AT_FDCWD, b.c_str(), RENAME_EXCHANGE) != 0) return false;
  sync_folder(b.parent_path());
  return true;
}

void failpoint(const char* name) {
  const char* const wanted = std::getenv("DDRO_FAILPOINT");
  if (wanted == nullptr) return;
  static std::atomic<long> visits{0};
  const char* const colon = std::strchr(wanted, ':');
  const size_t length = colon ? static_cast<size_t>(colon - wanted) : std::strlen(wanted);
  if (std::strlen(name) != length || std::strncmp(name, wanted, length) != 0) return;
  char* rest = nullptr;
  const long target = colon ? std::strtol(colon + 1, &rest, 10) : 1;
  if (++visits != target) return;
  std::raise(rest != nullptr && std::strcmp(rest, ":stop") == 0 ? SIGSTOP : SIGKILL);
}

}  // namespace ddro
