#include "run/final_model.h"

#include <cmath>
#include <limits>

#include "ddro/base/files.h"
#include "ddro/base/log.h"
#include "ddro/run/setup.h"
#include "ddro/train/score.h"
#include "run/evaluator.h"

namespace ddro::run {
namespace {

bool is_merged(const LoadedRun& run) {
  return run.adapter && run.config.final_model.adapter == models::AdapterExport::kMerged;
}

models::ExportDType export_dtype(const LoadedRun& run) {
  switch (run.config.final_model.dtype) {
    case models::ExportType::kFloat32:
      return models::ExportDType::kFloat32;
    case models::ExportType::kBFloat16:
      return models::ExportDType::kBFloat16;
    case models::ExportType::kFloat16:
      return models::ExportDType::kFloat16;
    case models::ExportType::kAuto:
      break;
  }
  // A float64 run is one for tests; its masters are kept as they are. So are an adapter's, as PEFT does: they
  // are small, and become what was computed with when they are read.
  const bool is_adapter = run.adapter && !is_merged(run);
  return run.dtype == at::kBFloat16 && !is_adapter ? models::ExportDType::kBFloat16
                                                   : models::ExportDType::kKeep;
}

NamedTensors merged_weights(const LoadedRun& run, const NamedTensors& weights) {
  NamedTensors on_cpu;
  for (const auto& [name, tensor] : weights) on_cpu.emplace_back(name, tensor.to(at::kCPU));
  return models::merged_weights(run.base_model.spec, run.base_model.tensors, run.adapter->spec, on_cpu,
                                run.dtype == at::kDouble ? at::kDouble : at::kFloat);
}

// Whether what is stored says less than what was computed with: a narrower type, or low-rank factors that are
// rounded into weights of two bytes.
bool is_rounded(const LoadedRun& run, at::ScalarType stored) {
  const auto bytes = at::elementSize(stored);
  return bytes < at::elementSize(run.dtype) || (is_merged(run) && bytes < at::elementSize(at::kFloat));
}

void remove_old(const std::filesystem::path& path) {
  std::error_code error;
  std::filesystem::remove_all(path, error);
  if (error)
    throw save_error("[" + printable(path.string(), 400) + "] cannot be removed: " + error.message());
}

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
  std::vector<train::Evaluation> evaluations;
  for (train::EvaluationSet& set : make_evaluation_sets(run)) {
    auto evaluation = set.evaluate(
        model, *run.objective, [&] { return stop.requested(); }, *run.ranks);
    if (!evaluation) stop.leave_if_requested(*run.ranks);
    evaluations.push_back(std::move(*evaluation));
  }
  return measured(evaluations);
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

void warn_of_cost(const LoadedRun& run, at::ScalarType stored, const Distance& apart, double loss_change) {
  std::string cost = "final/ is stored in " + dtype_label(stored) + ", the run computed in " +
                     dtype_label(run.dtype) + ": its log-probabilities are " + printable(apart.mean, "%.3g") +
                     " nats a completion away from those that were trained";
  if (std::isfinite(loss_change))
    cost += ", the loss on " + run.eval_sets.front().name + " changes by " + printable(loss_change, "%+.3g");
  log_warning(cost + (is_merged(run)
                          ? "; export.dtype float32, or export.adapter separate, keeps what was measured"
                          : "; export.dtype auto keeps what was measured"));
}

}  // namespace

void export_final(const LoadedRun& run, const NamedTensors& weights) {
  const auto target = run.output("final");
  const auto fresh = run.output("final.new");
  remove_old(fresh);
  models::ExportOptions options = run.export_options();
  options.dtype = export_dtype(run);
  if (!run.adapter) {
    models::export_model_folder(run.base_model.path, weights, options, fresh);
  } else if (is_merged(run)) {
    models::export_model_folder(run.base_model.path, merged_weights(run, weights), options, fresh);
  } else {
    models::export_adapter_folder(run.base_model, *run.adapter, weights, options, fresh);
  }
  remove_old(target);
  rename_durable(fresh, target);
  log_info("exported " + target.string());
}

void verify_final(const LoadedRun& run, const models::CausalLm& policy,
                  const std::vector<train::Evaluation>& last, const StopFlag& stop) {
  const models::ModelFolder folder = models::open_model_folder(run.output("final"));
  const NamedTensors& tensors = folder.adapter ? folder.adapter->tensors : folder.tensors;
  const at::ScalarType stored = tensors.front().second.scalar_type();
  const auto model =
      build_model(folder, run.device, run.dtype, /*trainable=*/false, /*gradient_checkpointing=*/false);
  const Measured trained = last.empty() ? measure(run, policy, stop) : measured(last);
  const Measured exported = measure(run, *model, stop);
  const Distance apart = distance(trained.completions, exported.completions);
  if (is_rounded(run, stored)) {
    warn_of_cost(run, stored, apart, exported.loss - trained.loss);
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
