// A name for a file or folder that stays while it is renamed and that no later one gets again.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>

#include <string>

namespace ddro::test {

// Of an open file (`path` empty, AT_EMPTY_PATH) or of a path; empty when there is none.
inline std::string disk_key(int descriptor, const char* path) {
  struct statx info {};
  if (statx(descriptor, path, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW, STATX_INO | STATX_BTIME, &info) != 0)
    return "";
  return std::to_string(info.stx_ino) + "-" + std::to_string(info.stx_btime.tv_sec) + "-" +
         std::to_string(info.stx_btime.tv_nsec);
}

}  // namespace ddro::test
