#include "dist/meeting.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <memory>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>
#include <utility>

#include "ddro/base/error.h"
#include "ddro/base/log.h"
#include "dist/sockets.h"

namespace ddro::dist {
namespace {

using namespace std::chrono_literals;
using std::chrono::milliseconds;

constexpr milliseconds kBeat = 500ms;
constexpr milliseconds kListen = 2000ms;            // four beats: who has not changed then does not live
constexpr milliseconds kPatience = kTimeToExplain;  // for this rank's last words
constexpr milliseconds kPoll = 50ms;
constexpr milliseconds kFirstPoll = 10ms, kLongestPoll = 1000ms;  // for what may take any time
constexpr milliseconds kHearing = 2000ms;                         // for the others to hear of the end
constexpr milliseconds kFirstSpeaks = 300ms;
constexpr int kLostCode = static_cast<int>(ErrorKind::kLost);
constexpr const char* kEnd = "end";
constexpr const char* kGoOn = "; the last checkpoint is valid, run the same command again";

std::string key(const char* name, int rank) { return std::string(name) + "/" + std::to_string(rank); }

std::vector<std::string> beat_keys(int num_ranks) {
  std::vector<std::string> keys;
  for (int rank = 0; rank < num_ranks; ++rank) keys.push_back(key("beat", rank));
  return keys;
}

std::string text_of(const std::vector<std::uint8_t>& bytes) { return {bytes.begin(), bytes.end()}; }
std::vector<std::uint8_t> bytes_of(const std::string& text) { return {text.begin(), text.end()}; }

std::string host_name() {
  std::array<char, 256> name{};
  return gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "an unknown machine";
}

// As leave() says it: the code, then the rank.
Meeting::End end_of(const std::string& said) {
  const size_t space = said.find(' ');
  return {std::stoi(said), std::stoi(said.substr(space))};
}

std::string seconds_text(milliseconds time) {
  return std::to_string(std::chrono::duration_cast<std::chrono::seconds>(time).count()) + " s";
}

std::string if_only_slow(std::chrono::seconds timeout) {
  return "; if it is only slow, raise distributed.timeout_s (" + std::to_string(timeout.count()) + ")";
}

std::string is_lost(const std::string& who, const std::string& how) {
  return "[ranks] " + who + " is lost: " + how;
}

std::string did_not_come(std::chrono::seconds waited) {
  return "it lives, but did not come to an exchange with the others in " + seconds_text(waited);
}

std::string store_is_gone() { return is_lost("rank 0", "the store that it serves is gone") + kGoOn; }

std::string place(const Launch& launch) {
  return printable(launch.address) + ":" + std::to_string(launch.port);
}

// In a thread: its first answer has no time-out, and may never come from whatever listens there.
c10::intrusive_ptr<c10d::Store> connect(const Launch& launch, const c10d::TCPStoreOptions& options) {
  std::packaged_task<c10::intrusive_ptr<c10d::Store>()> task(
      [address = launch.address, options] { return c10::make_intrusive<c10d::TCPStore>(address, options); });
  auto store = task.get_future();
  std::thread(std::move(task)).detach();
  try {
    if (store.wait_for(options.timeout) == std::future_status::ready) return store.get();
  } catch (const std::exception&) {
    // Something that speaks otherwise.
  }
  throw Error(ErrorKind::kLost, "[ranks] what listens at " + place(launch) +
                                    " is not rank 0 of a run; MASTER_ADDR and MASTER_PORT name its place");
}

// An installer may give a machine's own name to 127.0.1.1: that is refused. What else is on the loopback may
// be meant, where the machines of a run are parts of one.
void check_reach(const Launch& launch, int socket) {
  const auto address = loopback_address(socket);
  if (!address || launch.local_size >= launch.size) return;
  const std::string text =
      "[MASTER_ADDR] is an address that ranks on other machines do not reach; got " +
      printable(launch.address) + ", which is " + *address + " here, and " +
      std::to_string(launch.local_size) + " of " + std::to_string(launch.size) +
      " ranks on this machine; expected a name or address of this machine on the network";
  if (*address == launch.address || *address == "127.0.0.1" || *address == "::1") {
    log_warning(text);
  } else {
    throw input_error(text);
  }
}

// Each rank is a connection or more, and what a process may have open by default is 1,024 files.
void allow_many_connections() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

c10::intrusive_ptr<c10d::Store> open_store(const Launch& launch, std::chrono::seconds timeout) {
  allow_many_connections();
  c10d::TCPStoreOptions options;
  options.port = static_cast<std::uint16_t>(launch.port);
  options.isServer = launch.rank == 0 && !launch.is_hosted;
  options.waitWorkers = false;
  options.timeout = timeout;
  // A store that binds by itself would serve every interface.
  if (options.isServer) {
    options.masterListenFd =
        launch.socket ? *launch.socket : bind_socket(launch.address, launch.port, timeout).descriptor;
    check_reach(launch, options.masterListenFd.value());
  } else if (!wait_for_listener(launch.address, launch.port, timeout)) {
    throw Error(ErrorKind::kLost,
                "[ranks] rank 0 does not answer at " + place(launch) + " within " + seconds_text(timeout) +
                    ": it is not started, or this machine does not reach it" + if_only_slow(timeout));
  }
  return c10::make_intrusive<c10d::PrefixStore>("ddro-train/" + std::to_string(launch.attempt),
                                                connect(launch, options));
}

// As rank 0 says it, whoever comes first.
std::string agreed_size(c10d::Store& store, const Launch& launch) {
  if (launch.rank == 0) return text_of(store.compareSet("size", {}, bytes_of(std::to_string(launch.size))));
  try {
    return text_of(store.get("size"));
  } catch (const c10::Error&) {
    const auto timeout = std::chrono::duration_cast<std::chrono::seconds>(store.getTimeout());
    throw Error(ErrorKind::kLost,
                is_lost("rank 0", "it has not come within " + seconds_text(timeout)) + if_only_slow(timeout));
  }
}

}  // namespace

Meeting::Meeting(const Launch& launch, std::chrono::seconds timeout)
    : launch_(launch), timeout_(timeout), store_(open_store(launch, timeout)) {
  watcher_ = std::jthread([this](const std::stop_token& stop) { watch_store(stop); });
  const std::string size = std::to_string(launch.size);
  const std::string met = agreed_size(*store_, launch);
  if (met != size) {
    throw input_error("[ranks] the run that meets at " + place(launch) + " has " + printable(met) +
                      " ranks, this process is one of " + size);
  }
  if (store_->add(key("arrived", launch.rank), 1) > 1) {
    throw input_error("[ranks] another process is rank " + std::to_string(launch.rank) +
                      " of the run that meets at " + place(launch));
  }
  store_->set(key("host", launch.rank), bytes_of(host_name()));
  thread_ = std::thread([this] { keep_in_touch(); });
}

Meeting::~Meeting() { stop(); }

void Meeting::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

// Counted in ticks of its own, for the same reason as the beats.
void Meeting::watch_store(const std::stop_token& stop) {
  std::mutex mutex;
  std::condition_variable_any wake;
  std::unique_lock lock(mutex);
  std::int64_t seen = 0, silent_ticks = 0;
  while (!wake.wait_for(lock, stop, kBeat, [&] { return stop.stop_requested(); })) {
    const std::int64_t returned = num_returned_;
    silent_ticks = returned == seen ? silent_ticks + 1 : 0;
    seen = returned;
    const milliseconds silent = silent_ticks * kBeat;
    // Before the first beat rank 0 may have to be waited for.
    if (silent < (seen == 0 ? timeout_ + kListen : timeout_ - kTimeToExplain)) continue;
    leave(nullptr, kLostCode,
          is_lost("rank 0", "its store has not answered for " + seconds_text(silent)) +
              if_only_slow(timeout_) + kGoOn);
  }
}

void Meeting::keep_in_touch() {
  std::unique_lock lock(mutex_);
  auto next = std::chrono::steady_clock::now();
  while (!stopping_) {
    do_asked(lock);
    if (std::chrono::steady_clock::now() >= next) {
      lock.unlock();
      try {
        beat(*store_);
        ++num_returned_;
      } catch (const std::exception&) {
        if (is_ending_) return;  // with an error of its own, or none
        leave(nullptr, kLostCode, store_is_gone());
      }
      lock.lock();
      next = std::chrono::steady_clock::now() + kBeat;
    }
    wake_.wait_until(lock, next, [this] { return stopping_ || !asked_.empty(); });
  }
  do_asked(lock);
}

void Meeting::do_asked(std::unique_lock<std::mutex>& lock) {
  while (!asked_.empty()) {
    auto task = std::move(asked_.front());
    asked_.pop_front();
    lock.unlock();
    task(*store_);
    lock.lock();
  }
}

void Meeting::beat(c10d::Store& store) {
  ++num_beats_;
  store.set(key("beat", launch_.rank),
            bytes_of(std::to_string(num_beats_) + " " + std::to_string(num_exchanges_.load())));
  if (store.check({kEnd})) {
    store.set(key("heard", launch_.rank), bytes_of("yes"));
    leave(nullptr, end_of(text_of(store.get(kEnd))).code, "");
  }
  watch_next_rank(store);
  watch_exchanges(store);
}

// An exchange on a GPU has no time-out that a process survives. Gloo's own comes before this.
void Meeting::watch_exchanges(c10d::Store& store) {
  const std::int64_t exchanges = num_exchanges_;
  if (exchanges != seen_exchanges_) {
    seen_exchanges_ = exchanges;
    exchanged_at_ = num_beats_;
  }
  if ((num_beats_ - exchanged_at_) * kBeat < timeout_ + kListen || !store.check(beat_keys(launch_.size)))
    return;
  const std::vector<Beat> all = beats(store);
  const auto behind = std::ranges::min_element(all, {}, &Beat::exchanges);
  if (behind->exchanges >= exchanges) return;
  leave(&store, kLostCode,
        is_lost(name_of(store, static_cast<int>(behind - all.begin())), did_not_come(timeout_)) +
            if_only_slow(timeout_) + kGoOn);
}

// Counted in beats of its own, so that a run that is halted as a whole finds nobody silent when it goes on.
void Meeting::watch_next_rank(c10d::Store& store) {
  const int next = (launch_.rank + 1) % launch_.size;
  const std::string name = key("beat", next);
  const std::string seen = store.check({name}) ? text_of(store.get(name)) : "";
  if (seen != next_rank_) {
    next_rank_ = seen;
    seen_at_ = num_beats_;
  }
  const auto silent = (num_beats_ - seen_at_) * kBeat;
  if (silent < (seen.empty() ? timeout_ : timeout_ - kTimeToExplain)) return;
  const std::string how =
      seen.empty() ? "it has not come within " + seconds_text(silent) : "silent for " + seconds_text(silent);
  leave(&store, kLostCode,
        is_lost(name_of(store, next), how) + if_only_slow(timeout_) + (seen.empty() ? "" : kGoOn));
}

// `why` is left out by those who only heard of it. With `store`, the others are told.
void Meeting::leave(c10d::Store* store, int code, const std::string& why) {
  if (code == kLostCode) keep_record();
  bool first = true;
  if (store != nullptr) {
    const std::string said = std::to_string(code) + " " + std::to_string(launch_.rank);
    const std::string decided = text_of(store->compareSet(kEnd, {}, bytes_of(said)));
    first = decided == said;
    code = end_of(decided).code;
  }
  const std::lock_guard once(leaving_);  // not while the store is asked, which may not answer
  if (first && !why.empty())
    std::fprintf(stderr, "ddro-train: error: %s%s\n", log_prefix().c_str(), why.c_str());
  if (launch_.rank == 0 && store != nullptr) std::this_thread::sleep_for(kHearing);
  std::fflush(nullptr);
  _exit(code);
}

std::string Meeting::name_of(c10d::Store& store, int rank) const {
  const std::string host = key("host", rank);
  return "rank " + std::to_string(rank) +
         (store.check({host}) ? " on " + printable(text_of(store.get(host))) : "");
}

// Waits for as long as it takes: watch_store() ends a process whose store is silent for too long.
void Meeting::ask(Work work) {
  std::packaged_task<void(c10d::Store&)> task(std::move(work));
  std::future<void> done = task.get_future();
  {
    const std::lock_guard lock(mutex_);
    asked_.push_back(std::move(task));
  }
  wake_.notify_all();
  try {
    done.get();
  } catch (const Error&) {
    throw;
  } catch (const std::exception&) {
    leave(nullptr, kLostCode, store_is_gone());
  }
}

// What was said the time before is forgotten: whoever says something now has heard it.
std::vector<std::string> Meeting::exchange(const std::string& said) {
  const auto key_of = [&](std::int64_t number, int rank) {
    return key(("said/" + std::to_string(number)).c_str(), rank);
  };
  const std::int64_t number = num_said_++;
  std::vector<std::string> keys;
  for (int rank = 0; rank < launch_.size; ++rank) keys.push_back(key_of(number, rank));
  ask([&](c10d::Store& store) { store.set(keys[static_cast<size_t>(launch_.rank)], bytes_of(said)); });
  bool all = false;
  for (milliseconds pause = kFirstPoll;; pause = std::min(2 * pause, kLongestPoll)) {
    ask([&](c10d::Store& store) { all = store.check(keys); });
    if (all) break;
    if (is_broken_) throw Error(ErrorKind::kLost, "[ranks] another rank is lost");
    std::this_thread::sleep_for(pause);
  }
  std::vector<std::string> result;
  ask([&](c10d::Store& store) {
    for (const auto& bytes : store.multiGet(keys)) result.push_back(text_of(bytes));
    if (number > 0) store.deleteKey(key_of(number - 1, launch_.rank));
  });
  return result;
}

std::vector<Meeting::Beat> Meeting::beats() {
  std::vector<Beat> result;
  ask([&](c10d::Store& store) { result = beats(store); });
  return result;
}

std::vector<Meeting::Beat> Meeting::beats(c10d::Store& store) const {
  std::vector<Beat> result;
  for (const auto& bytes : store.multiGet(beat_keys(launch_.size))) {
    const std::string text = text_of(bytes);
    const size_t space = text.find(' ');
    result.push_back({text.substr(0, space), std::stoll(text.substr(space))});
  }
  return result;
}

void Meeting::on_lost(std::function<void()> keep) {
  const std::lock_guard lock(keeping_);
  keep_ = std::move(keep);
}

// In a thread: a disk that hangs keeps nobody here.
void Meeting::keep_record() {
  const std::lock_guard once(keeping_);
  if (!keep_) return;
  std::packaged_task<void()> task(std::exchange(keep_, nullptr));
  const std::future<void> kept = task.get_future();
  std::thread(std::move(task)).detach();
  kept.wait_for(kHearing);
}

void Meeting::explain(const std::string& reason) {
  is_broken_ = true;
  keep_record();
  const std::vector<Beat> before = beats();
  std::this_thread::sleep_for(kListen);
  const std::vector<Beat> after = beats();
  int lost = -1;
  const bool waited = reason.find("Timed out") != std::string::npos;
  std::string how = "it was killed or halted, or its machine is gone (" + reason + ")" +
                    (waited ? if_only_slow(timeout_) : "");
  for (int rank = 0; rank < launch_.size && lost < 0; ++rank) {
    const auto i = static_cast<size_t>(rank);
    if (rank != launch_.rank && before[i].number == after[i].number) lost = rank;
  }
  if (lost < 0) {
    const auto behind = std::min_element(
        after.begin(), after.end(), [](const Beat& a, const Beat& b) { return a.exchanges < b.exchanges; });
    if (behind->exchanges < num_exchanges_) lost = static_cast<int>(behind - after.begin());
    how = did_not_come(timeout_ - kTimeToExplain) + if_only_slow(timeout_);
  }
  std::string who;
  if (lost >= 0) ask([&](c10d::Store& store) { who = name_of(store, lost); });
  throw Error(ErrorKind::kLost, lost < 0 ? "[ranks] the connection to another rank is broken: " + reason
                                         : is_lost(who, how) + kGoOn);
}

// In a thread: the store may never answer, and this process has its own error to report.
bool Meeting::finish(std::function<void()> last_words) {
  std::packaged_task<void()> task([this, last_words = std::move(last_words)] {
    stop();
    try {
      last_words();
    } catch (const std::exception&) {
      // Rank 0 is gone, and with it who could be told.
    }
  });
  const std::future<void> done = task.get_future();
  std::thread(std::move(task)).detach();
  is_left_behind_ = done.wait_for(kPatience) != std::future_status::ready;
  return !is_left_behind_;
}

Meeting::End Meeting::end(int code) {
  is_ending_ = true;
  watcher_.request_stop();
  // What all ranks find at once is said by the first.
  if (launch_.rank != 0) std::this_thread::sleep_for(kFirstSpeaks);
  const auto decided = std::make_shared<End>(End{code, launch_.rank});
  const bool heard = finish([this, decided] {
    const std::string said = std::to_string(decided->code) + " " + std::to_string(decided->rank);
    *decided = end_of(text_of(store_->compareSet(kEnd, {}, bytes_of(said))));
    say_heard();
  });
  return heard ? *decided : End{code, launch_.rank};
}

void Meeting::part() {
  is_ending_ = true;
  watcher_.request_stop();
  finish([this] { say_heard(); });
}

void Meeting::say_heard() {
  std::vector<std::string> all;
  for (int rank = 0; rank < launch_.size; ++rank) all.push_back(key("heard", rank));
  store_->set(all[static_cast<size_t>(launch_.rank)], bytes_of("yes"));
  const auto limit = std::chrono::steady_clock::now() + kHearing;
  while (launch_.rank == 0 && !store_->check(all) && std::chrono::steady_clock::now() < limit)
    std::this_thread::sleep_for(kPoll);
}

}  // namespace ddro::dist
