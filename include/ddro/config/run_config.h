// A run's whole configuration: YAML file and --set overrides -> checked structs, and back.
#pragma once

#include <string>
#include <vector>

#include "ddro/checkpoint/checkpoint_options.h"
#include "ddro/config/on_change.h"
#include "ddro/data/data_options.h"
#include "ddro/dist/dist_options.h"
#include "ddro/losses/objective_options.h"
#include "ddro/models/adapter_options.h"
#include "ddro/models/model_options.h"
#include "ddro/train/train_options.h"

namespace ddro::config {

struct RunConfig {
  models::ModelOptions model;
  models::AdapterOptions adapter;
  models::ReferenceOptions reference;
  data::DataOptions data;
  losses::ObjectiveOptions objective;
  train::TrainOptions train;
  train::OptimizerOptions optimizer;
  train::EvalOptions eval;
  models::ExportSettings final_model;  // the section `export`
  checkpoint::CheckpointOptions checkpoint;
  train::LoggingOptions logging;
  dist::DistributedOptions distributed;
};

// Reads and checks a file, then applies `overrides` ("section.key=value", value in YAML). Error(kInput)
// begins with file:line and the dotted key, names the nearest known key for an unknown one, and says what to
// write for names known from TRL. Empty `path`: defaults and overrides alone. Of several overrides of one key
// the last one counts.
RunConfig load_run_config(const std::string& path, const std::vector<std::string>& overrides);

// The objective section alone, from overrides; an override of another section is refused.
losses::ObjectiveOptions load_objective(const std::vector<std::string>& overrides);

// The objective in one line: every option that the loss has, with its value.
std::string describe_objective(const losses::ObjectiveOptions& objective);

// One key of a configuration, its value as YAML.
struct Setting {
  std::string key;  // dotted
  std::string value;
  OnChange on_change;
};

// Every key in the order of the dump; objective options that the loss does not have are left out.
std::vector<Setting> list_settings(const RunConfig& config);

// Every default, with paths of files that a user would have to name.
RunConfig example_run_config();

// The configuration as YAML that load_run_config reads back to the same structs; `with_help` adds each key's
// help as a comment. An objective option that the loss does not have is left out (with help: commented out),
// because setting it is refused.
std::string dump_run_config(const RunConfig& config, bool with_help);

}  // namespace ddro::config
