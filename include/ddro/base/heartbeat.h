// A file by which others see that a process is alive, and what it is at.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "ddro/base/activity.h"
#include "ddro/base/ticker.h"

namespace ddro {

std::string host_name();

// Seconds since 1970 by this machine's clock.
double seconds_since_1970();

struct Beat {
  std::int64_t process = 0;
  std::string host;
  Activity phase = Activity::kPreparing;
  std::int64_t step = 0;  // steps done
  double time = 0;        // seconds since 1970 by the host's clock

  bool operator==(const Beat&) const = default;
};

inline constexpr std::chrono::seconds kBeatInterval{10};

// Replaces the file again and again from its own thread: a process that computes for long is alive. The
// file goes when the object does; one that is left tells of a process that was killed. A beat that cannot be
// written is left out.
class Heartbeat {
 public:
  // Tells what the calling thread is at.
  explicit Heartbeat(std::filesystem::path path, std::chrono::milliseconds interval = kBeatInterval);
  ~Heartbeat();
  Heartbeat(const Heartbeat&) = delete;
  Heartbeat& operator=(const Heartbeat&) = delete;

  void set_step(std::int64_t step) { step_ = step; }

 private:
  void beat() const;

  std::filesystem::path path_;
  const std::atomic<Activity>& activity_;
  std::atomic<std::int64_t> step_ = 0;
  std::optional<Ticker> ticker_;
};

// Nothing where there is no such file, or none that is a heartbeat.
std::optional<Beat> read_beat(const std::filesystem::path& path);

}  // namespace ddro
