#include "run/best_metric.h"

#include <algorithm>

#include "ddro/losses/metrics.h"
#include "ddro/train/score.h"

namespace ddro::run {
namespace {

// What an evaluation of the set will log. Which metrics are defined depends on its completions, not on what
// they score.
std::vector<std::string> metric_names(const RunSet& set, const LoadedRun& run) {
  const data::SetPlan plan(set.dataset, run.pack_options());
  const auto completions = train::scored_completions(set.dataset, plan);
  std::vector<std::string> names;
  for (const auto& [name, value] : losses::preference_metrics(completions, *run.objective, plan.counts(), 0))
    names.push_back("eval_" + set.name + "_" + name);
  return names;
}

std::vector<std::string> metric_names(const LoadedRun& run) {
  std::vector<std::string> all;
  for (const RunSet& set : run.eval_sets) {
    const std::vector<std::string> names = metric_names(set, run);
    all.insert(all.end(), names.begin(), names.end());
  }
  return all;
}

std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

// The forms in which a name may be meant, in the order of preference.
std::vector<std::string> readings(const std::string& name, const LoadedRun& run) {
  const std::string prefix = "eval_";
  const std::string rest = name.starts_with(prefix) ? name.substr(prefix.size()) : name;
  std::vector<std::string> all = {prefix + rest};
  if (run.eval_sets.size() == 1) all.push_back(prefix + run.eval_sets.front().name + "_" + rest);
  return all;
}

}  // namespace

std::optional<BestMetric> find_best_metric(const LoadedRun& run) {
  const train::EvalOptions& eval = run.config.eval;
  if (!eval.metric_for_best_model) return std::nullopt;
  if (run.eval_sets.empty()) {
    throw input_error("[eval.metric_for_best_model] there are no evaluation sets; got " +
                      printable(*eval.metric_for_best_model) + ", expected null; or set data.eval_files");
  }
  const std::vector<std::string> names = metric_names(run);
  for (const std::string& name : readings(*eval.metric_for_best_model, run)) {
    if (std::find(names.begin(), names.end(), name) == names.end()) continue;
    return BestMetric{name, eval.greater_is_better.value_or(!name.ends_with("loss")),
                      eval.early_stopping_patience};
  }
  throw input_error("[eval.metric_for_best_model] no evaluation gives it; got " +
                    printable(*eval.metric_for_best_model) + ", expected one of " + joined(names));
}

}  // namespace ddro::run
