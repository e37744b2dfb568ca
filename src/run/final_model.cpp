#include "run/final_model.h"

#include <cmath>
#include <limits>

#include "ddro/base/files.h"
#include "ddro/base/log.h"
#include "ddro/run/gguf_model.h"
#include "ddro/train/score.h"
#include "run/evaluator.h"
#include "run/exported_policy.h"

namespace ddro::run {
namespace {

// What a model gives for the completions that it is compared by.
struct Measured {
  std::vector<losses::ScoredCompletion> completions;
  double loss = std::numeric_limits<double>::quiet_NaN();  // of the first evaluation set, if there is one
};

Measured measured(const std::vector<train::Evaluation>& evaluations) {
  Measured result;
  result.loss = evaluations.front().metrics.front().second;
  for (const train::Evaluation& evaluation : evaluations)
    result.completions.insert(result.completions.end(), evaluation.completions.begin(),
                              evaluation.completions.end());
  return result;
}

Measured measure_first_step(const LoadedRun& run, const models::CausalLm& model) {
  const data::StepPlan plan = data::plan_step(run.train.dataset, run.sampler().step({}), run.pack_options());
  Measured result;
  result.completions = train::scored_completions(run.train.dataset, plan);
  const auto logp = train::score(train::ModelLogProbs(model), plan, run.device, {.ranks = *run.ranks});
  for (size_t i = 0; i < logp->size(); ++i) result.completions[i].logp = (*logp)[i];
  return result;
}

Measured measure(const LoadedRun& run, const models::CausalLm& model, const StopFlag& stop) {
  if (!run.evaluates() || run.eval_sets.empty()) return measure_first_step(run, model);
  return measured(evaluate_sets(run, model, stop));
}

// How far the log-probabilities of the same completions are apart.
struct Distance {
  double mean = 0;       // nats a completion
  double per_token = 0;  // largest, of a completion's tokens
};

Distance distance(const std::vector<losses::ScoredCompletion>& a,
                  const std::vector<losses::ScoredCompletion>& b) {
  Distance result;
  for (size_t i = 0; i < a.size(); ++i) {
    const double nats = std::fabs(a[i].logp - b[i].logp);
    const double each = nats / static_cast<double>(a[i].num_tokens);
    result.mean += nats / static_cast<double>(a.size());
    // Not-a-number is as far as it can be.
    if (!(each <= result.per_token)) result.per_token = each;
  }
  return result;
}

void warn_of_cost(const LoadedRun& run, const ExportedPolicy& exported, const Distance& apart,
                  double loss_change) {
  std::string cost = "its log-probabilities are " + printable(apart.mean, "%.3g") +
                     " nats a completion away from those that were trained";
  if (std::isfinite(loss_change))
    cost += ", the loss on " + run.eval_sets.front().name + " changes by " + printable(loss_change, "%+.3g");
  log_warning(rounding_remark(run, exported, "final", cost));
}

}  // namespace

void export_final(const LoadedRun& run, const NamedTensors& weights, const std::string& card) {
  const auto target = run.output("final");
  const auto fresh = run.output("final.new");
  export_policy(run, sources_of(weights), card, fresh);
  remove_folder(target);
  rename_durable(fresh, target);
  log_info("exported " + target.string());
}

void check_final_gguf(const LoadedRun& run) {
  const std::optional<models::GgufDType> dtype = run.config.final_model.gguf;
  if (!dtype) return;
  if (leaves_adapter(run)) {
    check_gguf_adapter_dtype(*dtype, "export.gguf");
    models::check_gguf_adapter(run.base_model.spec, run.adapter->spec);
  } else {
    check_gguf_model(run.base_model, run.text, *dtype);
  }
}

void export_final_gguf(const LoadedRun& run) {
  const std::optional<models::GgufDType> dtype = run.config.final_model.gguf;
  if (!dtype) return;
  const auto source = run.output("final"), target = run.output("final.gguf");
  if (leaves_adapter(run)) {
    const models::ModelFolder& base = run.base_model;
    models::export_gguf_adapter(base.spec, models::read_adapter(source, base.spec, base.base_hash),
                                base.base_hash, target);
  } else {
    export_gguf_model(models::open_model_folder(source), *dtype, target);
  }
  log_info("exported " + target.string());
}

void verify_final(const LoadedRun& run, const models::CausalLm& policy,
                  const std::vector<train::Evaluation>& last, const StopFlag& stop) {
  const ExportedPolicy read_back = read_exported(run, run.output("final"), policy);
  const Measured trained = last.empty() ? measure(run, policy, stop) : measured(last);
  const Measured exported = measure(run, *read_back.model, stop);
  const Distance apart = distance(trained.completions, exported.completions);
  if (read_back.is_rounded) {
    warn_of_cost(run, read_back, apart, exported.loss - trained.loss);
    return;
  }
  if (!(apart.per_token <= train::log_prob_tolerance(run.dtype))) {
    throw save_error("[" + run.output("final").string() +
                     "] is not the model that was trained: its log-probabilities differ by up to " +
                     printable(apart.per_token, "%.3g") +
                     " nats a token; the checkpoint is kept, remove final/ and run the same command again");
  }
  log_info("final/ as read back gives what was trained" +
           (apart.mean == 0 ? std::string(" in every bit")
                            : " within " + printable(apart.mean, "%.2g") + " nats a completion"));
}

}  // namespace ddro::run
