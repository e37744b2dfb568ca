// The files that say what a run is: config.yaml, run.json, dropped.jsonl.
#pragma once

#include "ddro/run/loaded_run.h"
#include "run/best_evaluation.h"
#include "run/identity.h"

namespace ddro::run {

class RunFolder {
 public:
  // `record`: run.json of an earlier start, or null.
  RunFolder(const LoadedRun& run, RunIdentity identity, Json record)
      : run_(run), identity_(std::move(identity)), record_(std::move(record)) {}

  // Whether an earlier start of the run came to its end, the last step or an early one, with a checkpoint of
  // `newest_step`. Error(kInput)
  // when it was another run: see check_is_same_run.
  bool is_finished(std::int64_t newest_step) const;

  // Error(kSave) when a file cannot be written.
  void write_start();
  // `best`: of a run that looks for one, else null.
  void write_end(std::int64_t step, const BestEvaluation* best, double seconds);

 private:
  void write_record() const;

  const LoadedRun& run_;
  RunIdentity identity_;
  Json record_;
};

}  // namespace ddro::run
