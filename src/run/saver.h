// A run's checkpoints, out and in.
#pragma once

#include <cstdint>
#include <filesystem>

#include "ddro/checkpoint/checkpoint.h"
#include "ddro/run/loaded_run.h"
#include "ddro/train/adamw.h"
#include "run/identity.h"
#include "run/run_state.h"

namespace ddro::run {

class Saver {
 public:
  // The run outlives it.
  Saver(const LoadedRun& run, RunIdentity identity);

  // Weights, moments and place as `from` has them. Error(kModel) for files that do not fit the run.
  void restore(const checkpoint::Checkpoint& from, train::Parameters& parameters, train::AdamW& optimizer,
               RunState& state);

  // Whether a checkpoint is due after state.step steps.
  bool is_due(const RunState& state) const;
  // Written by the first rank. Error(kNonFinite) for weights or moments that are not finite; Error(kSave).
  void save(const train::Parameters& parameters, const train::AdamW& optimizer, const RunState& state);
  // As save; but a checkpoint that cannot be written is passed over with a warning, unless it is the run's
  // last or the third in a row.
  void save_or_count_failure(const train::Parameters& parameters, const train::AdamW& optimizer,
                             const RunState& state);
  bool has_saved(std::int64_t step) const { return step == saved_step_; }

 private:
  std::filesystem::path folder() const { return run_.output("checkpoints"); }

  const LoadedRun& run_;
  RunIdentity identity_;
  std::int64_t saved_step_ = -1;      // of the newest checkpoint
  std::int64_t attempted_step_ = -1;  // of the newest attempt to save
  std::int64_t failed_saves_ = 0;
};

}  // namespace ddro::run
