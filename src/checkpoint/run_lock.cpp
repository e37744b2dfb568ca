#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <sstream>

#include "ddro/base/error.h"
#include "ddro/checkpoint/checkpoint.h"

namespace ddro::checkpoint {
namespace {

std::string describe_this_process() {
  std::array<char, 256> host{};
  gethostname(host.data(), host.size() - 1);
  std::array<char, 32> start{};
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  gmtime_r(&now, &utc);
  std::strftime(start.data(), start.size(), "%Y-%m-%dT%H:%M:%SZ", &utc);
  std::ostringstream text;
  text << "process " << getpid() << " on " << host.data() << " since " << start.data() << '\n';
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

RunLock::RunLock(const std::filesystem::path& folder) {
  const std::filesystem::path path = folder / ".lock";
  std::string where = "[";
  where += printable(path.string(), 400) + "] ";
  descriptor_ = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
  if (descriptor_ < 0) throw save_error(where + "cannot be created: " + std::strerror(errno));
  if (flock(descriptor_, LOCK_EX | LOCK_NB) != 0) {
    const int reason = errno;
    const std::string holder = read_holder(descriptor_);
    close(descriptor_);
    if (reason == EWOULDBLOCK) {
      throw input_error(where + "the folder is in use by " + holder +
                        "; choose another train.output_dir or wait for it to end");
    }
    throw save_error(where + "cannot be locked: " + std::strerror(reason));
  }
  const std::string text = describe_this_process();
  // The lock holds without this text: it only helps a reader.
  if (ftruncate(descriptor_, 0) == 0) static_cast<void>(!pwrite(descriptor_, text.data(), text.size(), 0));
}

RunLock::~RunLock() { close(descriptor_); }

}  // namespace ddro::checkpoint
