// The store where the ranks of a run meet, a thread of each rank that keeps in touch there, and one that
// watches whether the store answers.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <future>
#include <mutex>
#include <stop_token>
#include <string>
#include <thread>
#include <torch/csrc/distributed/c10d/Store.hpp>
#include <vector>

#include "ddro/dist/launch.h"

namespace ddro::dist {

// Of `timeout`, what finding out which rank is lost may take; the rest is how long a rank may be waited for.
constexpr std::chrono::seconds kTimeToExplain{5};

class Meeting {
 public:
  // Error(kInput) when the place cannot be had, another process has this rank or the run has another number
  // of ranks; Error(kLost) when rank 0 does not answer within `timeout`. From then on a beat of this rank is
  // in the store twice a second. The process ends, with the same code, when another rank has said that the
  // run ends; with that of ErrorKind::kLost when the store or the next rank is silent for too long.
  Meeting(const Launch& launch, std::chrono::seconds timeout);
  ~Meeting();
  Meeting(const Meeting&) = delete;
  Meeting& operator=(const Meeting&) = delete;

  // What each rank has said, once all have. There is no limit to how long that takes: a rank that is lost
  // ends the process, or with Error(kLost) the exchange. From any thread, one at a time.
  std::vector<std::string> exchange(const std::string& said);
  // A further connection, for a group's own messages.
  c10::intrusive_ptr<c10d::Store> connect() { return store_->clone(); }

  // What is to be kept of the exchanges when a rank is lost: called once, from any thread, before this
  // process leaves.
  void on_lost(std::function<void()> keep);

  // To be called before each exchange of a group: by its number of them a rank that hangs is known.
  void count_exchange() { ++num_exchanges_; }
  // After an exchange that failed for `reason`: Error(kLost) naming the rank that is lost.
  [[noreturn]] void explain(const std::string& reason);

  // Stops keeping in touch, says that the run ends with `code`, and gives the others time to hear it. Returns
  // what was said first: by this rank or another; where the store does not answer, by this rank.
  struct End {
    int code = 0;
    int rank = 0;
  };
  End end(int code);
  // Stops keeping in touch when the work of all ranks is done: rank 0, which serves the store, leaves last.
  void part();
  // Whether after end() or part() a thread of the meeting still waits for the store: then the meeting is not
  // to be destroyed.
  bool is_left_behind() const { return is_left_behind_; }

 private:
  struct Beat {
    std::string number;
    std::int64_t exchanges = 0;
  };
  using Work = std::function<void(c10d::Store&)>;

  void stop();
  bool finish(std::function<void()> last_words);
  void say_heard();
  void keep_in_touch();
  void watch_store(const std::stop_token& stop);
  void beat(c10d::Store& store);
  void watch_next_rank(c10d::Store& store);
  void watch_exchanges(c10d::Store& store);
  void do_asked(std::unique_lock<std::mutex>& lock);
  // Runs `work` on the store, however long it takes to answer.
  void ask(Work work);
  std::vector<Beat> beats();
  std::vector<Beat> beats(c10d::Store& store) const;
  void keep_record();
  std::string name_of(c10d::Store& store, int rank) const;
  [[noreturn]] void leave(c10d::Store* store, int code, const std::string& why);

  Launch launch_;
  std::chrono::seconds timeout_;
  c10::intrusive_ptr<c10d::Store> store_;
  std::atomic<std::int64_t> num_exchanges_ = 0;
  std::atomic<bool> is_broken_ = false;         // a rank is lost
  std::atomic<bool> is_ending_ = false;         // by itself
  std::atomic<std::int64_t> num_returned_ = 0;  // beats that the store has answered
  bool is_left_behind_ = false;
  std::int64_t num_said_ = 0;  // in exchange()
  std::int64_t num_beats_ = 0;
  std::string next_rank_;                               // its beat, as last seen
  std::int64_t seen_at_ = 0;                            // beats of this rank when it changed
  std::int64_t seen_exchanges_ = 0, exchanged_at_ = 0;  // the same of this rank's own exchanges
  std::mutex leaving_;
  std::mutex keeping_;
  std::function<void()> keep_;

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::packaged_task<void(c10d::Store&)>> asked_;
  bool stopping_ = false;
  std::thread thread_;
  std::jthread watcher_;  // of the store, for which the other may wait for ever
};

}  // namespace ddro::dist
