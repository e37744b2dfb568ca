// The last line of a terminal on stderr: progress overwrites it, log lines come in its place.
#pragma once

#include <mutex>
#include <string>

namespace ddro {

// While one exists, no other thread writes there.
class TerminalLine {
 public:
  TerminalLine();

  void draw(const std::string& text);
  void wipe();  // what was drawn

 private:
  std::lock_guard<std::mutex> lock_;
};

}  // namespace ddro
