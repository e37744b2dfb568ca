#include "run/best_model.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "ddro/base/activity.h"
#include "ddro/base/files.h"
#include "ddro/base/log.h"
#include "ddro/run/model_card.h"
#include "run/evaluator.h"
#include "run/exported_policy.h"
#include "run/metrics_file.h"
#include "run/step_lines.h"

namespace ddro::run {
namespace {

namespace fs = std::filesystem;

constexpr const char* kBest = "best";
constexpr const char* kFresh = "best.new";
constexpr const char* kPrevious = "best.previous";
constexpr const char* kRecord = "trainer.json";

// The step whose weights a folder holds; -1 where it does not say, or is a link.
std::int64_t step_of(const fs::path& folder) {
  std::error_code ignored;
  if (fs::is_symlink(folder, ignored) || !fs::exists(folder / kRecord, ignored)) return -1;
  const Json record = read_json_file((folder / kRecord).string(), ErrorKind::kModel);
  return record.is_object() ? record.value("step", std::int64_t{-1}) : -1;
}

double value_of(const losses::Metrics& metrics, const std::string& name) {
  const auto found =
      std::find_if(metrics.begin(), metrics.end(), [&](const auto& metric) { return metric.first == name; });
  return found == metrics.end() ? std::numeric_limits<double>::quiet_NaN() : found->second;
}

// What the log-probabilities of an evaluation depend on beside the weights.
Json evaluated_as(const LoadedRun& run) {
  Json sets = Json::object();
  for (const RunSet& set : run.eval_sets) sets[set.name] = set.dataset.content_hash;
  return {{"dtype", dtype_label(run.dtype)},
          {"tokenizer", run.text.tokenizer_hash},
          {"template", run.text.template_hash},
          {"eval_files", sets}};
}

// Whether the run still evaluates as it did when best/ was written: a resume may change sets and type.
bool evaluates_as_before(const LoadedRun& run) {
  const Json record = read_json_file((run.output(kBest) / kRecord).string(), ErrorKind::kModel);
  return record.value("evaluated", Json()) == evaluated_as(run);
}

// The line of the evaluation after `step` steps, on all ranks.
Json logged_evaluation(const LoadedRun& run, std::int64_t step) {
  Json found = Json::object();
  if (run.ranks->is_first()) {
    read_step_lines(run.output("metrics.jsonl"), step, [&](const Json& line) {
      if (line["step"] == step && line.value("kind", "") == "eval") found = line;
    });
  }
  return Json::parse(run.ranks->broadcast(found.dump()));
}

double mean_tokens(const std::vector<losses::ScoredCompletion>& completions, bool chosen) {
  double tokens = 0, weight = 0;
  for (const losses::ScoredCompletion& completion : completions) {
    if (completion.chosen != chosen) continue;
    tokens += completion.weight * static_cast<double>(completion.num_tokens);
    weight += completion.weight;
  }
  return tokens / weight;
}

// How far the mean log-probability of a class is from the one that was logged, in nats a token; the larger of
// both classes. What is not a number is as far as it can be.
double distance(const train::Evaluation& evaluation, const std::string& set, const Json& logged) {
  double largest = 0;
  for (const auto& [name, value] : evaluation.metrics) {
    if (!name.starts_with("logps/")) continue;
    const Json& was = logged.at("eval_" + set + "_" + name);
    if (!was.is_number()) return std::numeric_limits<double>::quiet_NaN();
    const double each =
        std::fabs(value - was.get<double>()) / mean_tokens(evaluation.completions, name == "logps/chosen");
    if (!(each <= largest)) largest = each;
  }
  return largest;
}

}  // namespace

BestModel::BestModel(const LoadedRun& run, std::int64_t last_step)
    : run_(run), best_(read_best_evaluation(run, last_step, *run.ranks)) {
  if (run.ranks->is_first()) settle();
}

void BestModel::settle() {
  const fs::path best = run_.output(kBest);
  for (const char* name : {kBest, kFresh, kPrevious}) {
    const fs::path folder = run_.output(name);
    if (!best_.exists() || step_of(folder) != best_.step()) continue;
    if (name != kBest) {
      remove_folder(best);
      rename_durable(folder, best);
    }
    remove_folder(run_.output(kFresh));
    return;
  }
  if (best_.exists()) {
    log_warning("best/ will be that of a later evaluation: the weights of the best so far (" +
                best_.describe() + ") are not kept");
  }
  for (const char* name : {kBest, kFresh, kPrevious}) remove_folder(run_.output(name));
}

void BestModel::add(std::int64_t step, const losses::Metrics& metrics, const train::Parameters& parameters,
                    std::int64_t saved_step) {
  const std::int64_t old_step = best_.step();
  if (!best_.add(step, value_of(metrics, best_.metric().name))) return;
  const Doing exporting(Activity::kExport);
  train::lend_whole(parameters.state(), *run_.ranks, [&](const TensorSources& sources) {
    write(sources, model_card(run_, step, logged_line("eval", step, metrics)));
    failpoint("best.written");
    put_in_place(/*keep_old=*/old_step <= saved_step);
    failpoint("best.in_place");
    log_info("best so far: " + best_.describe() + ", in " + run_.output(kBest).string());
  });
}

void BestModel::write(const TensorSources& weights, const std::string& card) const {
  const fs::path fresh = run_.output(kFresh);
  export_policy(run_, weights, card, fresh);
  const Json record = {{"step", best_.step()},
                       {"metric", best_.metric().name},
                       {"value", best_.value()},
                       {"evaluated", evaluated_as(run_)}};
  write_file_atomic(fresh / kRecord, record.dump(1) + "\n");
}

// `keep_old`: a checkpoint is there that goes on from the old one, so that it is what a kill leads back to;
// then it takes the place of an earlier best.previous/.
void BestModel::put_in_place(bool keep_old) const {
  const fs::path best = run_.output(kBest), fresh = run_.output(kFresh), previous = run_.output(kPrevious);
  std::error_code ignored;
  if (!fs::exists(fs::symlink_status(best, ignored))) return rename_durable(fresh, best);
  const bool exchanged = exchange_names(fresh, best);
  const fs::path& old = exchanged ? fresh : best;
  if (keep_old) remove_folder(previous);
  if (keep_old) {
    rename_durable(old, previous);
  } else {
    remove_folder(old);
  }
  if (!exchanged) rename_durable(fresh, best);
}

void verify_best(const LoadedRun& run, const models::CausalLm& policy, const BestEvaluation& best,
                 const StopFlag& stop) {
  if (run.ranks->is_first()) remove_folder(run.output(kPrevious));  // the last checkpoint has seen best/
  std::error_code ignored;
  if (!run.ranks->broadcast(fs::exists(run.output(kBest), ignored))) {
    log_warning("there is no best/: the weights of the best evaluation (" + best.describe() +
                ") are not kept");
    return;
  }
  if (!run.ranks->broadcast(run.ranks->is_first() && evaluates_as_before(run))) {
    log_warning(
        "best/ is not evaluated again: the evaluation sets or the type that the run computes in have changed "
        "since step " +
        std::to_string(best.step()));
    return;
  }
  const ExportedPolicy exported = read_exported(run, run.output(kBest), policy);
  const Json logged = logged_evaluation(run, best.step());
  const std::vector<train::Evaluation> evaluations = evaluate_sets(run, *exported.model, stop);
  double apart = 0;
  for (size_t i = 0; i < evaluations.size(); ++i) {
    const double each = distance(evaluations[i], run.eval_sets[i].name, logged);
    if (!(each <= apart)) apart = each;
  }
  if (exported.is_rounded) {
    log_warning(rounding_remark(run, exported, kBest,
                                "its log-probabilities are " + printable(apart, "%.3g") +
                                    " nats a token away from those that were the best"));
  } else if (!(apart <= train::log_prob_tolerance(run.dtype))) {
    throw save_error("[" + run.output(kBest).string() + "] does not give " + best.describe() +
                     ": its log-probabilities differ by " + printable(apart, "%.3g") + " nats a token");
  } else {
    log_info("best/ as read back gives " + best.describe());
  }
}

}  // namespace ddro::run
