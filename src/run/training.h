// The loop of a run: steps, evaluations, checkpoints.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "ddro/base/heartbeat.h"
#include "ddro/base/progress.h"
#include "ddro/checkpoint/checkpoint.h"
#include "ddro/data/plan_ahead.h"
#include "ddro/run/loaded_run.h"
#include "ddro/run/model_card.h"
#include "ddro/train/checksums.h"
#include "ddro/train/optimizer.h"
#include "ddro/train/stepper.h"
#include "run/best_model.h"
#include "run/evaluator.h"
#include "run/identity.h"
#include "run/metrics_log.h"
#include "run/run_state.h"
#include "run/saver.h"
#include "run/step_log.h"
#include "run/step_watch.h"
#include "run/stop_flag.h"

namespace ddro::run {

class Training {
 public:
  // `run`: with its references prepared, `reference`: the resident one, or null; they, `policy` and `stop`
  // outlive the training. `resume_from`: the checkpoint to go on from, verified, or nullopt to start afresh.
  // The caller holds the run's lock. `heartbeat`: of the first rank; it is told of each step.
  Training(const LoadedRun& run, const models::CausalLm& policy, const models::CausalLm* reference,
           const StopFlag& stop, RunIdentity identity,
           const std::optional<checkpoint::Checkpoint>& resume_from, Heartbeat* heartbeat);

  // Runs to the last step, or to where early stopping ends it. Error(kInterrupted) after a checkpoint when a
  // stop was asked for, Error(kNonFinite) when the non-finite policy gives up, Error(kSave) when checkpoints
  // cannot be written.
  void run();

  // The trained weights at full precision, named as in the model folder; of the last checkpoint where no
  // rank has them all. Of the first rank, after run().
  NamedTensors weights() const {
    return parameters_.is_sharded() ? saver_.saved_weights() : parameters_.masters();
  }
  // Of those weights; see model_card.
  std::string card() const { return model_card(run_, state_.step, metrics_.last_evaluation_line()); }
  // What the evaluation sets gave at the last step; empty where it was made before a resume.
  const std::vector<train::Evaluation>& last_evaluation() const { return evaluator_.last(); }
  std::int64_t step() const { return state_.step; }
  // Of a run that looks for one.
  const BestEvaluation* best() const { return best_ ? &best_->evaluation() : nullptr; }

 private:
  void tell_watchers();
  void train_step();
  void evaluate();
  data::StepPlan take_plan();
  void watch_for_spike(const data::StepPlan& plan, const train::StepReport& report);
  void note_state();
  void skip_update(const data::StepPlan& plan, const train::StepReport& report);
  void check_weights() const;
  void save();
  void check_reference(const train::StepResult& result) const;
  bool evaluation_due() const;
  bool stops_early() const { return best_ && best_->evaluation().ends_run(); }
  bool is_done() const { return state_.step >= run_.total_steps || stops_early(); }
  [[noreturn]] void stop_now();

  const LoadedRun& run_;
  const models::CausalLm& policy_;
  const StopFlag& stop_;
  train::Parameters parameters_;
  train::FrozenWeights frozen_;
  train::Optimizer optimizer_;
  data::PlanAhead plans_;
  train::Stepper stepper_;
  RunState state_;
  MetricsLog metrics_;
  Saver saver_;
  Evaluator evaluator_;
  std::optional<BestModel> best_;
  Progress progress_;
  Heartbeat* heartbeat_;             // null in other ranks than the first
  std::optional<StepLog> step_log_;  // of the first rank
  std::optional<StepWatch> watch_;   // of the first rank
  bool is_first_ = true;             // the next step, since this start
};

}  // namespace ddro::run
