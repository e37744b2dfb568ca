// A disk that fails, is slow or loses power, for a program into which this is preloaded (LD_PRELOAD). It is
// told by the environment, and concerns files below one folder:
//
//   DDRO_DISK           that folder, an absolute path
//   DDRO_DISK_FAIL      CALL:FIRST[-LAST]:ERROR: of the calls open (for writing), write, fsync, rename,
//                       mkdir or close those from FIRST to LAST fail with ERROR, as "ENOSPC"; with "short" a
//                       write takes half
//   DDRO_DISK_COUNTS    a file that is told at the end how many calls of the rule's kind there were
//   DDRO_DISK_DELAY_MS  how much longer each write and fsync takes
//   DDRO_DISK_LAG_MS    how much longer each of these calls takes at most: a random time, as over a network
//   DDRO_DISK_HOLD      a file: as long as it exists, an fsync does not end
//   DDRO_DISK_DURABLE   a folder that receives what a loss of power leaves: of a file its bytes, of a folder
//                       its entries, as they were when it was last synced (tests/fault/power_loss.h)
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <random>
#include <string>
#include <thread>

#include "fault/disk_entries.h"

namespace {

namespace fs = std::filesystem;

template <typename Function>
Function next_of(const char* name) {
  return reinterpret_cast<Function>(dlsym(RTLD_NEXT, name));
}

const char* setting(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr && *value != '\0' ? value : nullptr;
}

bool concerns(const std::string& path) {
  static const char* const folder = setting("DDRO_DISK");
  if (folder == nullptr || !path.starts_with(folder)) return false;
  return path.size() == std::strlen(folder) || path[std::strlen(folder)] == '/';
}

std::string path_of(int descriptor) {
  char target[4096];
  const std::string link = "/proc/self/fd/" + std::to_string(descriptor);
  const ssize_t size = readlink(link.c_str(), target, sizeof target);
  return size > 0 ? std::string(target, static_cast<size_t>(size)) : "";
}

enum class Call { kOpen, kWrite, kFsync, kRename, kMkdir, kClose, kNone };
constexpr const char* kCallNames[] = {"open", "write", "fsync", "rename", "mkdir", "close"};

struct Rule {
  Call call = Call::kNone;
  long first = 0;
  long last = 0;
  int error = 0;  // 0: a short write
};

int error_of(const std::string& name) {
  for (int number = 1; number < 134; ++number) {
    const char* const known = strerrorname_np(number);
    if (known != nullptr && name == known) return number;
  }
  return 0;
}

Rule read_rule() {
  const char* const text = setting("DDRO_DISK_FAIL");
  if (text == nullptr) return {};
  const std::string rule = text;
  const size_t numbers = rule.find(':') + 1;
  const size_t error = rule.find(':', numbers) + 1;
  const size_t dash = rule.find('-', numbers);
  Rule result;
  for (int call = 0; call < static_cast<int>(Call::kNone); ++call) {
    if (rule.substr(0, numbers - 1) == kCallNames[call]) result.call = static_cast<Call>(call);
  }
  result.first = std::atol(rule.c_str() + numbers);
  result.last = dash < error ? std::atol(rule.c_str() + dash + 1) : result.first;
  result.error = error_of(rule.substr(error));
  return result;
}

std::atomic<long> calls{0};

void lag() {
  static const char* const longest = setting("DDRO_DISK_LAG_MS");
  if (longest == nullptr) return;
  thread_local std::minstd_rand random{std::random_device()()};
  const auto us = std::uniform_int_distribution<long>(0, 1000 * std::atol(longest))(random);
  std::this_thread::sleep_for(std::chrono::microseconds(us));
}

// Whether the rule is for this call, which is counted.
bool fails(Call call) {
  lag();
  static const Rule rule = read_rule();
  if (call != rule.call) return false;
  const long number = ++calls;
  if (number < rule.first || number > rule.last) return false;
  errno = rule.error;
  return true;
}

void take_longer() {
  static const char* const delay = setting("DDRO_DISK_DELAY_MS");
  if (delay != nullptr) std::this_thread::sleep_for(std::chrono::milliseconds(std::atol(delay)));
}

void wait_while_held() {
  static const char* const hold = setting("DDRO_DISK_HOLD");
  while (hold != nullptr && access(hold, F_OK) == 0)
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
}

__attribute__((destructor)) void tell_counts() {
  if (const char* const path = setting("DDRO_DISK_COUNTS")) std::ofstream(path) << calls;
}

// What survives.

void put(const fs::path& path, const std::string& content) {
  static const auto write_next = next_of<ssize_t (*)(int, const void*, size_t)>("write");
  static const auto open_next = next_of<int (*)(const char*, int, ...)>("open");
  const std::string fresh = path.string() + ".new";
  const int to = open_next(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  for (size_t done = 0; done < content.size();) {
    const ssize_t wrote = write_next(to, content.data() + done, content.size() - done);
    if (wrote <= 0) std::abort();
    done += static_cast<size_t>(wrote);
  }
  close(to);
  if (std::rename(fresh.c_str(), path.c_str()) != 0) std::abort();
}

std::string bytes_of(const std::string& path) {
  static const auto open_next = next_of<int (*)(const char*, int, ...)>("open");
  std::string content;
  const int from = open_next(path.c_str(), O_RDONLY | O_CLOEXEC);
  char buffer[1 << 16];
  for (ssize_t got = 0; (got = read(from, buffer, sizeof buffer)) > 0;)
    content.append(buffer, static_cast<size_t>(got));
  close(from);
  return content;
}

void keep(const std::string& path) {
  static const char* const durable = setting("DDRO_DISK_DURABLE");
  static std::mutex one_at_a_time;
  if (durable == nullptr) return;
  const std::lock_guard lock(one_at_a_time);
  struct stat info {};
  if (stat(path.c_str(), &info) != 0) return;
  const bool is_folder = S_ISDIR(info.st_mode);
  const std::string key = ddro::test::disk_key(path);
  put(fs::path(durable) / key, is_folder ? ddro::test::entries_text(path) : bytes_of(path));
}

int synced(int descriptor, int (*sync)(int)) {
  const std::string path = path_of(descriptor);
  if (!concerns(path)) return sync(descriptor);
  take_longer();
  wait_while_held();
  if (fails(Call::kFsync)) return -1;
  keep(path);
  return 0;
}

}  // namespace

extern "C" {

int open(const char* path, int flags, ...) {
  static const auto next = next_of<int (*)(const char*, int, ...)>("open");
  va_list rest;
  va_start(rest, flags);
  const mode_t mode = (flags & O_CREAT) != 0 ? va_arg(rest, mode_t) : 0;
  va_end(rest);
  if ((flags & O_ACCMODE) != O_RDONLY && concerns(path) && fails(Call::kOpen)) return -1;
  return next(path, flags, mode);
}

ssize_t write(int descriptor, const void* bytes, size_t size) {
  static const auto next = next_of<ssize_t (*)(int, const void*, size_t)>("write");
  if (!concerns(path_of(descriptor))) return next(descriptor, bytes, size);
  take_longer();
  if (!fails(Call::kWrite)) return next(descriptor, bytes, size);
  return errno == 0 ? next(descriptor, bytes, (size + 1) / 2) : -1;
}

int fsync(int descriptor) {
  static const auto next = next_of<int (*)(int)>("fsync");
  return synced(descriptor, next);
}

int rename(const char* from, const char* to) noexcept {
  static const auto next = next_of<int (*)(const char*, const char*)>("rename");
  return concerns(to) && fails(Call::kRename) ? -1 : next(from, to);
}

int mkdir(const char* path, mode_t mode) noexcept {
  static const auto next = next_of<int (*)(const char*, mode_t)>("mkdir");
  return concerns(path) && fails(Call::kMkdir) ? -1 : next(path, mode);
}

// Closes in any case.
int close(int descriptor) {
  static const auto next = next_of<int (*)(int)>("close");
  if (!concerns(path_of(descriptor)) || !fails(Call::kClose)) return next(descriptor);
  const int error = errno;
  next(descriptor);
  errno = error;
  return -1;
}

}  // extern "C"
