// The best of a run's evaluations, and how long ago it was: as Hugging Face's Trainer and its
// EarlyStoppingCallback see them. A function of what metrics.jsonl holds, so that a run that goes on needs no
// other record of it.
#pragma once

#include <cstdint>

#include "ddro/run/loaded_run.h"

namespace ddro::run {

class BestEvaluation {
 public:
  explicit BestEvaluation(BestMetric metric) : metric_(std::move(metric)) {}

  const BestMetric& metric() const { return metric_; }
  // Takes in the evaluation after `step` steps; whether it is better than all before. One that is not a
  // number never is. The evaluation before the first step is of a model that was not trained: it is passed
  // over.
  bool add(std::int64_t step, double value);

  bool exists() const { return step_ > 0; }
  std::int64_t step() const { return step_; }
  double value() const { return value_; }
  std::int64_t evaluations_since() const { return since_; }
  // Whether the run ends here: `patience` evaluations in a row were no better.
  bool ends_run() const { return metric_.patience > 0 && since_ >= metric_.patience; }
  std::string why_it_ends() const;
  // "eval_held_out_loss 0.41 at step 14"
  std::string describe() const;

 private:
  bool is_better(double value) const;

  BestMetric metric_;
  std::int64_t step_ = 0;
  double value_ = 0;
  std::int64_t since_ = 0;
  bool any_ = false;
};

// That of the evaluations up to `last_step` in the run's metrics.jsonl, which the first of `ranks` reads.
BestEvaluation read_best_evaluation(const LoadedRun& run, std::int64_t last_step,
                                    const dist::Communicator& ranks);

}  // namespace ddro::run
