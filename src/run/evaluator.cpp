#include "run/evaluator.h"

#include <chrono>

#include "ddro/base/log.h"
#include "ddro/losses/mixture_mean.h"
#include "run/step_log.h"

namespace ddro::run {
namespace {

// More than chance makes of a mean of positive numbers whose expectation is 1. It is above 1000 in one of
// 1000 sets at most, whatever their distribution (Markov); below that its standard error has to tell.
bool is_above_one(const losses::Estimate& ratio) {
  constexpr double kRounding = 1.1;  // cached log-probabilities
  if (ratio.mean > 1000) return true;
  return ratio.standard_error && ratio.mean - 4 * *ratio.standard_error > kRounding;
}

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

generate::GenerateOptions sampling_options(const LoadedRun& run) {
  generate::GenerateOptions options = run.config.eval.samples;
  options.seed = run.config.train.seed;
  return options;
}

}  // namespace

std::vector<train::EvaluationSet> make_evaluation_sets(const LoadedRun& run) {
  std::vector<train::EvaluationSet> sets;
  for (const RunSet& set : run.eval_sets)
    sets.emplace_back(set.name, set.dataset, run.pack_options(), set.reference);
  return sets;
}

std::vector<train::Evaluation> evaluate_sets(const LoadedRun& run, const models::CausalLm& model,
                                             const StopFlag& stop) {
  std::vector<train::Evaluation> evaluations;
  for (train::EvaluationSet& set : make_evaluation_sets(run)) {
    auto evaluation = set.evaluate(
        model, *run.objective, [&] { return stop.requested(); }, *run.ranks);
    if (!evaluation) stop.leave_if_requested(*run.ranks);
    evaluations.push_back(std::move(*evaluation));
  }
  return evaluations;
}

Evaluator::Evaluator(const LoadedRun& run, const StopFlag& stop, std::int64_t last_step)
    : run_(run),
      stop_(stop),
      sets_(make_evaluation_sets(run)),
      samples_({run.prompts, run.text.tokenizer.get(), run.text.end_ids}, sampling_options(run),
               run.output("samples.jsonl"), last_step, *run.ranks) {}

std::optional<losses::Metrics> Evaluator::evaluate(const models::CausalLm& policy, std::int64_t step) {
  const auto start = std::chrono::steady_clock::now();
  losses::Metrics all;
  std::vector<train::Evaluation> evaluations;
  for (train::EvaluationSet& set : sets_) {
    auto evaluation = set.evaluate(
        policy, *run_.objective, [&] { return stop_.requested(); }, *run_.ranks);
    if (!evaluation) return std::nullopt;
    log_info("eval " + set.name() + " at step " + std::to_string(step) +
             metrics_line(evaluation->metrics, {{"loss", "loss", "%.4g"},
                                                {"accuracy", "rewards/accuracies", "%.4g"},
                                                {"auc", "ratio/auc", "%.4g"},
                                                {"chosen", "log_ratio/chosen", "%+.3f"},
                                                {"rejected", "log_ratio/rejected", "%+.3f"}}));
    judge_mixture(set.name(), *evaluation);
    for (const auto& [name, value] : evaluation->metrics)
      all.emplace_back("eval_" + set.name() + "_" + name, value);
    evaluations.push_back(std::move(*evaluation));
  }
  if (!run_.prompts.empty() && !sample(policy, step, all)) return std::nullopt;
  all.emplace_back("eval_runtime", seconds_since(start));
  last_ = std::move(evaluations);
  return all;
}

// What a loss with an alpha assumes of its rows, as far as rows that were not trained on can tell.
void Evaluator::judge_mixture(const std::string& set, const train::Evaluation& evaluation) {
  const auto& options = run_.config.objective;
  if (!losses::uses_option(options, "alpha") || !run_.objective->reads_reference()) return;
  if (off_mixture_.contains(set)) return;
  const auto ratio = losses::mixture_ratio(evaluation.completions, run_.objective->alpha());
  if (!ratio || !is_above_one(*ratio)) return;
  off_mixture_.insert(set);
  log_warning(
      "eval " + set + ": ratio/mixture_mean is " + printable(ratio->mean, "%.4g") +
      ", 1 is expected of held-out samples of the reference. Either these rows are not its samples, "
      "or objective.alpha is not the share of preferred ones among them, or the policy was trained on them");
}

// A policy without finite log-probabilities is left to the training to judge.
bool Evaluator::sample(const models::CausalLm& policy, std::int64_t step, losses::Metrics& metrics) {
  const auto start = std::chrono::steady_clock::now();
  const std::string at_step = "samples at step " + std::to_string(step);
  try {
    const auto drawn = samples_.draw(policy, step, [&] { return stop_.requested(); });
    if (!drawn) return false;
    const double seconds = seconds_since(start);
    log_info(at_step + "  " + std::to_string(drawn->completions) + " completions, " +
             std::to_string(drawn->unfinished) + " not finished, " + std::to_string(drawn->tokens) +
             " tokens in " + printable(seconds, "%.2f") + " s, in " + run_.output("samples.jsonl").string());
    metrics.emplace_back("eval_sampling_time_s", seconds);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kModel) throw;
    log_warning(at_step + " are left out: " + error.what());
  }
  return true;
}

}  // namespace ddro::run
