// A run with everything loaded but its models, and the plan that --dry-run prints.
#pragma once

#include <ctime>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cli/run_setup.h"
#include "ddro/data/token_cache.h"

namespace ddro::cli {

struct LoadedRun {
  std::time_t now = 0;  // what a template's date shows
  at::Device device = at::kCPU;
  at::ScalarType dtype = at::kFloat;
  models::ModelFolder base_model;
  std::optional<models::ModelFolder> reference_model;  // absent: the policy's starting weights
  text::ModelText text;
  data::Dataset train_set;
  std::vector<NamedDataset> eval_sets;
  std::vector<std::optional<data::TokenCacheEntry>>
      missing_tokens;                 // of train_set, then of each of eval_sets
  std::vector<data::Prompt> prompts;  // sampled at evaluations
  std::unique_ptr<losses::Objective> objective;
  std::int64_t steps_per_epoch = 0;
  std::int64_t one_class_steps = 0;
  std::int64_t total_steps = 0;

  // Hash of the reference's weights; null when the objective reads no reference.
  Json reference_hash() const;
  // The folder of the reference's weights.
  const models::ModelFolder& reference_folder() const {
    return reference_model ? *reference_model : base_model;
  }
};

// run.json of an earlier start of the run in `output_dir`, or null.
Json read_run_record(const std::filesystem::path& output_dir);

// The date that templates show: that of the run's first start, else now.
std::time_t fixed_template_date(const std::filesystem::path& output_dir);

// Loads and checks everything that needs no training; the output folder is not touched.
LoadedRun load_run(const config::RunConfig& config, std::time_t now);

// Writes the sets that the run's cache of tokens lacks.
void write_missing_tokens(const LoadedRun& run);

// Several lines: data, lengths, classes, steps, schedule, memory and disk.
std::string describe_plan(const config::RunConfig& config, const LoadedRun& run);

// One line at the start of a run.
std::string describe_start(const config::RunConfig& config, const LoadedRun& run);

}  // namespace ddro::cli
