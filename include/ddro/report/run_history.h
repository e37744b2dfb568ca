// What a run left in its folder, as far as a report shows it. The run may still be going on.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "ddro/base/json.h"
#include "ddro/config/flat_settings.h"

namespace ddro::report {

// Values of one metric over the steps; NaN where the file has null.
struct Series {
  std::vector<std::int64_t> steps;
  std::vector<double> values;
};

using MetricTable = std::map<std::string, Series>;

struct Sample {
  std::int64_t step = 0;
  std::string prompt;
  std::string completion;
};

struct RunHistory {
  std::string name;  // the folder's; fit for one line
  MetricTable train;
  std::vector<std::pair<std::string, MetricTable>>
      eval;                          // by name of the set, without the eval_<set>_ prefix
  config::FlatSettings settings;     // config.yaml; empty without one
  Json record;                       // run.json; null without one
  std::vector<Sample> samples;       // samples.jsonl, in file order
  std::vector<std::string> remarks;  // what the run's owner should know
};

// Reads metrics.jsonl, and config.yaml, run.json, samples.jsonl and dropped.jsonl where they are there. An
// incomplete last line of a .jsonl file is left out. Error(kInput) for a folder without metrics.jsonl, or a
// file that cannot be read or is not what its name says, with file and line.
RunHistory read_run(const std::filesystem::path& folder);

// The folder's name, fit for one line.
std::string name_of(const std::filesystem::path& folder);

// Several runs; those whose folders have the same name are named by the path given.
std::vector<RunHistory> read_runs(const std::vector<std::filesystem::path>& folders);

}  // namespace ddro::report
