// Progress of long work on stderr: a bar on a terminal where the log shows what goes on, nothing
// otherwise (log lines say what a file needs).
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace ddro {

class Progress {
 public:
  Progress(std::string label, std::int64_t total, std::int64_t done = 0);
  // Wipes the bar, so that what is printed next begins on a clean line.
  ~Progress();

  // `detail`: shown behind the bar, such as the loss.
  void update(std::int64_t done, double tokens_per_second, const std::string& detail = "");
  // Shows the bar as it was last with another `detail`. May be called by another thread.
  void remark(const std::string& detail);
  // Takes the bar off the screen until the next update.
  void clear();

 private:
  std::string label_;
  std::int64_t total_;
  std::int64_t first_;
  std::string line_;  // as it was last, without a detail
  bool terminal_;
  std::chrono::steady_clock::time_point start_;
};

// "1:02:03" or "4:05".
std::string format_duration(double seconds);

// "1.23 GB"; 10^9 bytes.
std::string gigabytes(double bytes);

}  // namespace ddro
