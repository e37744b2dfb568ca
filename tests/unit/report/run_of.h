// Runs made in a test.
#pragma once

#include <string>

#include "ddro/report/run_history.h"

namespace ddro::report {

// A run with these training and evaluation (set "held_out") values of one metric, at steps 1, 2, ... and 0,
// 1, ...
inline RunHistory run_of(const std::string& metric, const std::vector<double>& train,
                         const std::vector<double>& eval = {}) {
  RunHistory run;
  run.name = "run";
  for (size_t i = 0; i < train.size(); ++i) {
    run.train[metric].steps.push_back(static_cast<std::int64_t>(i) + 1);
    run.train[metric].values.push_back(train[i]);
  }
  if (eval.empty()) return run;
  Series& series = run.eval.emplace_back("held_out", MetricTable{}).second[metric];
  for (size_t i = 0; i < eval.size(); ++i) {
    series.steps.push_back(static_cast<std::int64_t>(i));
    series.values.push_back(eval[i]);
  }
  return run;
}

}  // namespace ddro::report
