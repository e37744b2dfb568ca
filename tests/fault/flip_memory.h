// Bits of the memory of a program that is halted.
#pragma once

#include <fcntl.h>
#include <sys/types.h>
#include <unistd.h>

#include <fstream>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace ddro::test {

// Flips one bit behind each place where the private memory of `pid` holds `bytes`; how many there were.
inline int flip_behind(pid_t pid, std::string_view bytes) {
  const std::string process = "/proc/" + std::to_string(pid);
  const int memory = open((process + "/mem").c_str(), O_RDWR | O_CLOEXEC);
  if (memory < 0) throw std::runtime_error("no access to " + process + "/mem");
  int flips = 0;
  std::ifstream maps(process + "/maps");
  for (std::string line; std::getline(maps, line);) {
    std::istringstream fields(line);
    off_t begin = 0, end = 0;
    char dash = 0;
    std::string rights;
    fields >> std::hex >> begin >> dash >> end >> rights;
    if (rights != "rw-p" && rights != "r--p") continue;
    std::string content(static_cast<size_t>(end - begin), '\0');
    if (pread(memory, content.data(), content.size(), begin) != end - begin) continue;
    for (size_t at = content.find(bytes); at != std::string::npos; at = content.find(bytes, at + 1)) {
      const off_t place = begin + static_cast<off_t>(at + bytes.size() - 1);
      const char flipped = static_cast<char>(bytes.back() ^ 1);
      flips += pwrite(memory, &flipped, 1, place) == 1;
    }
  }
  close(memory);
  return flips;
}

}  // namespace ddro::test
