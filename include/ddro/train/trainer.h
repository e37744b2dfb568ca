// One training run: steps, evaluations, checkpoints, the exported model.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "ddro/checkpoint/checkpoint.h"
#include "ddro/checkpoint/checkpoint_options.h"
#include "ddro/data/dataset.h"
#include "ddro/data/plan_ahead.h"
#include "ddro/losses/objective.h"
#include "ddro/models/causal_lm.h"
#include "ddro/models/model_folder.h"
#include "ddro/train/adamw.h"
#include "ddro/train/evaluation.h"
#include "ddro/train/metrics_log.h"
#include "ddro/train/nonfinite_guard.h"
#include "ddro/train/progress.h"
#include "ddro/train/reference.h"
#include "ddro/train/run_identity.h"
#include "ddro/train/sample_log.h"
#include "ddro/train/step.h"
#include "ddro/train/stop_flag.h"
#include "ddro/train/train_options.h"

namespace ddro::train {

struct TrainerOptions {
  TrainOptions train;
  OptimizerOptions optimizer;
  EvalOptions eval;
  checkpoint::CheckpointOptions checkpoint;
  LoggingOptions logging;
};

// Steps of a run: max_steps, or num_train_epochs times the steps of an epoch.
std::int64_t num_total_steps(const TrainOptions& options, std::int64_t steps_per_epoch);

// Share of the training rows that have been met once the step at `place` is done; rows that an epoch repeats
// are no new samples.
double share_seen(const data::SamplerState& place, std::int64_t steps_per_epoch);

// What a run works on. The parts outlive the trainer.
struct TrainerParts {
  const models::CausalLm& policy;
  const ReferenceLogProbs* reference;     // of train_set; null when the objective reads none
  const models::ModelFolder& base_model;  // starting weights, and the files that an export copies
  bool reference_is_base;                 // policy and reference start from equal weights
  const data::Dataset& train_set;
  std::vector<EvaluationSet> eval_sets;
  const losses::Objective& objective;
  const StopFlag& stop;
  SamplePrompts samples;
  RunIdentity identity;
};

// Place of a run: everything that is neither weights nor moments.
struct TrainerState {
  std::int64_t step = 0;  // steps done, skipped ones included
  data::SamplerState sampler;
  std::int64_t num_tokens = 0;
  NonFiniteGuard guard;

  Json to_json() const;
  static TrainerState from_json(const Json& json);
};

struct StepTimes {
  double seconds = 0;    // of the whole step
  double data_wait = 0;  // until its micro-batches were there
};

class Trainer {
 public:
  // `resume_from`: the checkpoint to go on from, verified, or nullopt to start afresh. The caller holds the
  // run's lock.
  Trainer(TrainerParts parts, TrainerOptions options,
          const std::optional<checkpoint::Checkpoint>& resume_from);

  // Runs to the end and exports <output_dir>/final. Error(kInterrupted) after a checkpoint when a stop was
  // asked for, Error(kNonFinite) when the non-finite policy gives up, Error(kSave) when checkpoints cannot be
  // written.
  void run();

 private:
  void restore(const checkpoint::Checkpoint& from);
  void train_step();
  losses::BatchCounts step_counts(const data::StepPlan& plan) const;
  StepResult compute(const data::StepPlan& plan, const losses::BatchCounts& counts);
  void skip_update(const data::StepPlan& plan, double loss, double norm);
  void check_reference(const StepResult& result) const;
  void log_step(const data::StepPlan& plan, const losses::BatchCounts& counts, const StepResult& result,
                double rate, double norm, StepTimes times);
  bool evaluation_due() const;
  bool evaluate();
  bool sample(losses::Metrics& metrics);
  bool save_due() const;
  void save();
  void save_or_count_failure();
  void stop_now();
  void export_final();

  std::filesystem::path output(const std::string& name) const { return output_dir_ / name; }

  TrainerParts parts_;
  TrainerOptions options_;
  std::filesystem::path output_dir_;
  at::Device device_;
  AdamW optimizer_;
  data::PlanAhead plans_;
  double rejected_weight_;  // unpreferred rows of the training set
  std::int64_t steps_per_epoch_;
  std::int64_t total_steps_;
  TrainerState state_;
  std::int64_t saved_step_ = -1;      // of the newest checkpoint
  std::int64_t attempted_step_ = -1;  // of the newest attempt to save
  std::int64_t failed_saves_ = 0;
  double matmul_rate_ = 0;
  std::unique_ptr<MetricsLog> metrics_;
  const StopFlag& stop_;
  std::unique_ptr<SampleLog> samples_;
  Progress progress_;
};

}  // namespace ddro::train
