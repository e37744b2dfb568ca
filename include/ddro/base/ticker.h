// Something done again and again beside the work.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

namespace ddro {

// Calls `tick`, which throws nothing, at once and then every `interval`, in a thread of its own that ends
// with the object.
class Ticker {
 public:
  Ticker(std::chrono::milliseconds interval, std::function<void()> tick);

 private:
  void run(const std::stop_token& stop);

  std::chrono::milliseconds interval_;
  std::function<void()> tick_;
  std::mutex mutex_;
  std::condition_variable_any wakes_;
  std::jthread thread_;  // last: it uses the others, and is joined first
};

}  // namespace ddro
