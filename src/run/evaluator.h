// Evaluations of the policy while it is trained: metrics of the evaluation sets, sampled answers.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "ddro/run/loaded_run.h"
#include "ddro/train/evaluation.h"
#include "run/sample_log.h"
#include "run/stop_flag.h"

namespace ddro::run {

// Each evaluation set of a run, with its reference.
std::vector<train::EvaluationSet> make_evaluation_sets(const LoadedRun& run);

// A model on all of them, while nothing is trained; a stop that is asked for ends the program.
std::vector<train::Evaluation> evaluate_sets(const LoadedRun& run, const models::CausalLm& model,
                                             const StopFlag& stop);

class Evaluator {
 public:
  // Goes on after the evaluation of `last_step` (-1: none). The run and the flag outlive it.
  Evaluator(const LoadedRun& run, const StopFlag& stop, std::int64_t last_step);

  // Whether there is anything to evaluate.
  bool is_empty() const { return sets_.empty() && run_.prompts.empty(); }

  // What is to be logged. Nullopt when a stop was asked for before it was done; it is made up for after the
  // resume.
  std::optional<losses::Metrics> evaluate(const models::CausalLm& policy, std::int64_t step);

  // Of each set, of the newest evaluation made here.
  const std::vector<train::Evaluation>& last() const { return last_; }

 private:
  void judge_mixture(const std::string& set, const train::Evaluation& evaluation);
  bool sample(const models::CausalLm& policy, std::int64_t step, losses::Metrics& metrics);

  const LoadedRun& run_;
  const StopFlag& stop_;
  std::vector<train::EvaluationSet> sets_;
  std::vector<train::Evaluation> last_;
  std::set<std::string> off_mixture_;  // sets whose rows have been said not to be the reference's samples
  SampleLog samples_;
};

}  // namespace ddro::run
