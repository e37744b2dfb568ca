// best/: the weights of a run's best evaluation, as a Hugging Face or PEFT folder.
#pragma once

#include <filesystem>

#include "ddro/losses/metrics.h"
#include "ddro/train/parameters.h"
#include "run/best_evaluation.h"
#include "run/stop_flag.h"

namespace ddro::run {

// A best/ is in place before its evaluation is logged, so that one that is logged has its weights. A kill in
// between, or before the next checkpoint, leaves a best/ of an evaluation that the run has yet to come to:
// the one before it is kept as best.previous/ as long as that can be.
class BestModel {
 public:
  // Of a run with a best_metric, after the evaluations of its first `last_step` steps (-1: from the start).
  // Puts in its place the folder of their best, and removes those of others. The run outlives it.
  BestModel(const LoadedRun& run, std::int64_t last_step);

  // Takes in an evaluation that is about to be logged; when it is the best so far, the first rank exports the
  // weights, to which the others send what they alone have. `saved_step`: of the newest checkpoint, or -1, as
  // the first rank knows. Error(kSave) on failure.
  void add(std::int64_t step, const losses::Metrics& metrics, const train::Parameters& parameters,
           std::int64_t saved_step);

  const BestEvaluation& evaluation() const { return best_; }

 private:
  void settle();
  void write(const TensorSources& weights, const std::string& card) const;
  void put_in_place(bool keep_old) const;

  const LoadedRun& run_;
  BestEvaluation best_;
};

// Of a run at its end. Reads best/ from disk, evaluates it on the run's evaluation sets and compares it with
// what metrics.jsonl says of the best evaluation. Says what a type narrower than the run computes in has
// cost. Error(kSave) when they differ by more than rounding can explain. Without a best/, whose weights a
// start without the key did not keep, or with other evaluation sets than it was found on, there is a warning.
void verify_best(const LoadedRun& run, const models::CausalLm& policy, const BestEvaluation& best,
                 const StopFlag& stop);

}  // namespace ddro::run
