#include "run/best_evaluation.h"

#include <cmath>
#include <limits>

#include "run/step_lines.h"

namespace ddro::run {
namespace {

// step, value, step, value, ...: of the evaluations that have the metric; null is not a number.
std::vector<double> logged_values(const LoadedRun& run, std::int64_t last_step) {
  std::vector<double> values;
  read_step_lines(run.output("metrics.jsonl"), last_step, [&](const Json& line) {
    const auto value = line.find(run.best_metric->name);
    if (line.value("kind", "") != "eval" || value == line.end()) return;
    values.push_back(line["step"].get<double>());
    values.push_back(value->is_number() ? value->get<double>() : std::numeric_limits<double>::quiet_NaN());
  });
  return values;
}

}  // namespace

bool BestEvaluation::is_better(double value) const {
  if (!std::isfinite(value)) return false;
  return !exists() || (metric_.greater_is_better ? value > value_ : value < value_);
}

bool BestEvaluation::add(std::int64_t step, double value) {
  if (step == 0) return false;
  const bool better = is_better(value);
  since_ = better || !any_ ? 0 : since_ + 1;
  any_ = true;
  if (!better) return false;
  step_ = step;
  value_ = value;
  return true;
}

std::string BestEvaluation::describe() const {
  return metric_.name + " " + printable(value_, "%.6g") + " at step " + std::to_string(step_);
}

std::string BestEvaluation::why_it_ends() const {
  const std::string last = "the last " + std::to_string(since_) + " evaluations ";
  return exists() ? last + "were no better than " + describe() : last + "gave no number for " + metric_.name;
}

BestEvaluation read_best_evaluation(const LoadedRun& run, std::int64_t last_step,
                                    const dist::Communicator& ranks) {
  std::vector<double> values;
  if (ranks.is_first()) values = logged_values(run, last_step);
  values = ranks.broadcast(values);
  BestEvaluation best(*run.best_metric);
  for (size_t i = 0; i + 1 < values.size(); i += 2)
    best.add(static_cast<std::int64_t>(values[i]), values[i + 1]);
  return best;
}

}  // namespace ddro::run
