#include "ddro/base/file_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <ctime>
#include <sstream>
#include <thread>

#include "ddro/base/error.h"
#include "ddro/base/heartbeat.h"

namespace ddro {
namespace {

std::string where(const std::filesystem::path& path) { return "[" + printable(path.string(), 400) + "] "; }

// holder_of() has the lock for less than that.
constexpr std::chrono::milliseconds kLookTime{20};

std::string describe_this_process() {
  std::array<char, 32> start{};
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  gmtime_r(&now, &utc);
  std::strftime(start.data(), start.size(), "%Y-%m-%dT%H:%M:%SZ", &utc);
  std::ostringstream text;
  text << "process " << getpid() << " on " << host_name() << " since " << start.data() << '\n';
  return text.str();
}

std::string read_holder(int descriptor) {
  std::array<char, 400> text{};  // ends with a zero
  std::string holder = "another process";
  if (pread(descriptor, text.data(), text.size() - 1, 0) <= 0) return holder;
  std::istringstream lines(text.data());
  std::getline(lines, holder);
  return printable(holder);
}

}  // namespace

FileLock::FileLock(const std::filesystem::path& path) : path_(path) {
  descriptor_ = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
  if (descriptor_ < 0) throw save_error(where(path) + "cannot be created: " + std::strerror(errno));
}

FileLock::~FileLock() { close(descriptor_); }

bool FileLock::try_lock() {
  bool locked = flock(descriptor_, LOCK_EX | LOCK_NB) == 0;
  if (!locked && errno == EWOULDBLOCK) {
    std::this_thread::sleep_for(kLookTime);
    locked = flock(descriptor_, LOCK_EX | LOCK_NB) == 0;
  }
  if (!locked) {
    if (errno == EWOULDBLOCK) return false;
    throw save_error(where(path_) + "cannot be locked: " + std::strerror(errno));
  }
  const std::string text = describe_this_process();
  // The lock holds without this text: it only helps a reader.
  if (ftruncate(descriptor_, 0) == 0) static_cast<void>(!pwrite(descriptor_, text.data(), text.size(), 0));
  return true;
}

std::string FileLock::holder() const { return read_holder(descriptor_); }

std::optional<std::string> FileLock::holder_of(const std::filesystem::path& path) {
  const int descriptor = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  if (descriptor < 0) return std::nullopt;
  std::optional<std::string> holder;
  if (flock(descriptor, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK) holder = read_holder(descriptor);
  close(descriptor);
  return holder;
}

}  // namespace ddro
