// What a thread is at, for other threads to read: heartbeats, and what a slow step waits for.
#pragma once

#include <atomic>

#include "ddro/base/enum_names.h"

namespace ddro {

enum class Activity {
  kPreparing,
  kReference,   // log-probabilities of the reference
  kData,        // waits for micro-batches
  kStep,        // computes
  kEvaluation,  // and samples
  kSave,        // a checkpoint
  kExport,      // and the comparison with what was trained
  kRanks,       // waits for another rank
  kDisk,        // waits for a file to be written or synced
};

// This thread is at `activity` until the object ends, then at what it was at before. A few nanoseconds.
class Doing {
 public:
  explicit Doing(Activity activity);
  ~Doing();
  Doing(const Doing&) = delete;
  Doing& operator=(const Doing&) = delete;

 private:
  Activity before_;
};

// Of the calling thread, for as long as it lives.
const std::atomic<Activity>& own_activity();

template <>
struct EnumNames<Activity> {
  using E = Activity;
  static constexpr std::array<EnumName<E>, 9> kNames = {{{"preparing", E::kPreparing},
                                                         {"reference", E::kReference},
                                                         {"data", E::kData},
                                                         {"step", E::kStep},
                                                         {"evaluation", E::kEvaluation},
                                                         {"save", E::kSave},
                                                         {"export", E::kExport},
                                                         {"another rank", E::kRanks},
                                                         {"disk", E::kDisk}}};
};

}  // namespace ddro
