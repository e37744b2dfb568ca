// A run with everything loaded but its models.
#pragma once

#include <ctime>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "ddro/config/run_config.h"
#include "ddro/data/dataset.h"
#include "ddro/data/packed_batch.h"
#include "ddro/data/prompts.h"
#include "ddro/data/sampler.h"
#include "ddro/data/token_cache.h"
#include "ddro/dist/communicator.h"
#include "ddro/losses/objective.h"
#include "ddro/models/causal_lm.h"
#include "ddro/models/model_folder.h"
#include "ddro/text/model_text.h"
#include "ddro/train/log_probs.h"

namespace ddro::run {

struct RunSet {
  std::string name;  // train, or the name of an evaluation set
  data::Dataset dataset;
  std::optional<data::TokenCacheEntry> missing_tokens;  // what the run's cache of tokens lacks of it
  // Of its completions, once prepared (run/reference.h); null when the objective reads no reference.
  std::shared_ptr<const train::LogProbs> reference;
};

// What eval.metric_for_best_model means on the run's evaluation sets.
struct BestMetric {
  std::string name;  // as metrics.jsonl has it
  bool greater_is_better = false;
  std::int64_t patience = 0;  // eval.early_stopping_patience
};

struct LoadedRun {
  config::RunConfig config;
  std::time_t now = 0;  // what a template's date shows
  at::Device device = at::kCPU;
  at::ScalarType dtype = at::kFloat;
  int num_ranks = 1;
  int ranks_here = 1;                                // of them, on this machine
  const dist::Communicator* ranks = &dist::alone();  // the others, once they have met
  models::ModelFolder base_model;                    // what the policy starts from
  std::optional<models::Adapter> adapter;            // trained in place of its weights, as it is at the start
  std::optional<models::ModelFolder> reference_model;  // absent: the policy's starting weights
  std::optional<std::filesystem::path> fitted;  // what reference.fit has left, where base_model is from
  text::ModelText text;
  RunSet train;
  std::vector<RunSet> eval_sets;
  std::vector<data::Prompt> prompts;  // sampled at evaluations
  std::optional<BestMetric> best_metric;
  std::unique_ptr<losses::Objective> objective;
  double router_aux_loss_coef = 0;
  std::int64_t steps_per_epoch = 0;
  std::int64_t one_class_steps = 0;
  std::int64_t total_steps = 0;

  std::filesystem::path output(const std::string& name) const;  // <train.output_dir>/name
  data::PackOptions pack_options() const;
  data::StratifiedSampler sampler() const;  // of the training set
  bool evaluates() const;                   // at some step

  // For one model; null where each rank has whole weights.
  std::shared_ptr<models::WeightStore> make_weight_store() const;

  // Whether weights that stay frozen are in a shorter type that they are stored in.
  bool keeps_stored_dtype() const;

  // With the adapter that the folder has, if any; nothing of it is trained.
  std::unique_ptr<models::CausalLm> build_frozen(const models::ModelFolder& folder) const;

  // How a folder with the policy differs from the base model's: the template and the end token of the run.
  models::ExportOptions export_options() const;

  // Whether the reference's log-probabilities come from a cache on disk: the objective reads a reference, and
  // of the run's own rows alone.
  bool caches_reference() const;
  // "live" or "cached"; null when the objective reads no reference.
  Json reference_source() const;
  // Hash of the reference's weights; null when the objective reads no reference.
  Json reference_hash() const;
  // The folder of the reference's weights.
  const models::ModelFolder& reference_folder() const {
    return reference_model ? *reference_model : base_model;
  }
};

// Folder in train.output_dir of the run that reference.fit asks for.
inline constexpr const char* kReferenceRun = "reference";

// run.json of an earlier start of the run in `output_dir`, or null.
Json read_run_record(const std::filesystem::path& output_dir);

// Loads and checks everything that needs no training; the output folder is not touched. Templates show the
// date of the run's first start, else now.
// `local_rank`: among the ranks of this machine, each of which has a device.
LoadedRun load_run(config::RunConfig config, int local_rank = 0);

}  // namespace ddro::run
