#include "ddro/train/trainer.h"

#include <torch/torch.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <limits>
#include <utility>

#include "ddro/base/files.h"
#include "ddro/base/log.h"
#include "ddro/train/mismatched_rows.h"
#include "ddro/train/schedule.h"
#include "ddro/train/throughput.h"
#include "train/step_rows.h"

namespace ddro::train {
namespace {

// A live reference equal to the policy leaves log-ratios of exactly 0; this much means that they are not the
// same model.
constexpr double kMaxStartLogRatio = 1e-3;
constexpr std::int64_t kMaxFailedSaves = 3;

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

std::string number(double value, const char* format = "%.4g") {
  if (std::isnan(value)) return "nan";  // printf writes some with a sign
  char text[40];
  std::snprintf(text, sizeof text, format, value);
  return text;
}

double metric(const losses::Metrics& metrics, const std::string& name) {
  for (const auto& [key, value] : metrics) {
    if (key == name) return value;
  }
  return std::numeric_limits<double>::quiet_NaN();
}

void remove_old(const std::filesystem::path& path) {
  std::error_code error;
  std::filesystem::remove_all(path, error);
  if (error)
    throw save_error("[" + printable(path.string(), 400) + "] cannot be removed: " + error.message());
}

// The type in which the base model's weights are stored: the trained model is exported in the same.
models::ExportDType base_dtype(const models::ModelFolder& base) {
  switch (base.tensors.front().second.scalar_type()) {
    case at::kBFloat16:
      return models::ExportDType::kBFloat16;
    case at::kHalf:
      return models::ExportDType::kFloat16;
    default:
      return models::ExportDType::kKeep;
  }
}

}  // namespace

std::int64_t num_total_steps(const TrainOptions& options, std::int64_t steps_per_epoch) {
  return options.max_steps > 0 ? options.max_steps : options.num_train_epochs * steps_per_epoch;
}

double share_seen(const data::SamplerState& place, std::int64_t steps_per_epoch) {
  if (place.epoch > 0) return 1;
  return static_cast<double>(place.step_in_epoch + 1) / static_cast<double>(steps_per_epoch);
}

Json TrainerState::to_json() const {
  return {{"step", step},
          {"epoch", sampler.epoch},
          {"step_in_epoch", sampler.step_in_epoch},
          {"num_tokens", num_tokens},
          {"non_finite", guard.state()}};
}

TrainerState TrainerState::from_json(const Json& json) {
  TrainerState state;
  state.step = json.at("step").get<std::int64_t>();
  state.sampler.epoch = json.at("epoch").get<std::int64_t>();
  state.sampler.step_in_epoch = json.at("step_in_epoch").get<std::int64_t>();
  state.num_tokens = json.at("num_tokens").get<std::int64_t>();
  state.guard.load(json.at("non_finite"));
  return state;
}

Trainer::Trainer(TrainerParts parts, TrainerOptions options,
                 const std::optional<checkpoint::Checkpoint>& resume_from)
    : parts_(std::move(parts)),
      options_(std::move(options)),
      output_dir_(options_.train.output_dir),
      device_(parts_.policy.head_weight().device()),
      optimizer_(parts_.policy, parts_.base_model.tensors, options_.optimizer),
      plans_(parts_.train_set,
             data::StratifiedSampler(parts_.train_set, options_.train.train_batch_size,
                                     static_cast<std::uint64_t>(options_.train.seed)),
             {.micro_batch_tokens = options_.train.micro_batch_tokens}),
      rejected_weight_(parts_.train_set.class_weight(data::RowClass::kRejected)),
      steps_per_epoch_(plans_.sampler().steps_per_epoch()),
      total_steps_(num_total_steps(options_.train, steps_per_epoch_)),
      stop_(parts_.stop),
      progress_("train", total_steps_, 0) {
  if (resume_from) restore(*resume_from);
  metrics_ = std::make_unique<MetricsLog>(output_dir_, options_.logging, resume_from ? state_.step : -1);
  generate::GenerateOptions sampling = options_.eval.samples;
  sampling.seed = options_.train.seed;
  samples_ = std::make_unique<SampleLog>(std::move(parts_.samples), sampling, output("samples.jsonl"),
                                         metrics_->last_evaluation());
  progress_ = Progress("train", total_steps_, state_.step);
}

void Trainer::run() {
  matmul_rate_ = measure_matmul_rate(device_, parts_.policy.head_weight().scalar_type());
  while (true) {
    if (stop_.requested()) stop_now();
    if (evaluation_due() && !evaluate()) stop_now();
    if (save_due()) save_or_count_failure();
    if (state_.step >= total_steps_) break;
    train_step();
  }
  export_final();
}

void Trainer::restore(const checkpoint::Checkpoint& from) {
  const std::string where = from.path.string();
  try {
    state_ =
        TrainerState::from_json(read_json_file((from.path / "trainer.json").string(), ErrorKind::kModel));
  } catch (const Json::exception& error) {
    throw model_error("[" + where + "/trainer.json] is not a trainer's state: " + error.what());
  }
  const data::SamplerState& at = state_.sampler;
  if (state_.step != from.step || state_.num_tokens < 0 || at.epoch < 0 || at.step_in_epoch < 0 ||
      at.step_in_epoch >= steps_per_epoch_) {
    throw model_error("[" + where + "/trainer.json] does not fit this run: step " +
                      std::to_string(state_.step) + ", epoch " + std::to_string(at.epoch) + ", step " +
                      std::to_string(at.step_in_epoch) + " of " + std::to_string(steps_per_epoch_) +
                      " in it; the checkpoint is of step " + std::to_string(from.step));
  }
  const auto load = [&](const char* name) {
    const SafetensorsFile file(from.path / name);
    NamedTensors tensors;
    for (const auto& [key, view] : file.tensors())
      tensors.emplace_back(key, tensor_from_view(view, file.mapping()));
    return tensors;
  };
  optimizer_.load(load("model.safetensors"), load("optimizer.safetensors"), where);
  std::error_code ignored;
  const bool is_ours = std::filesystem::equivalent(from.path.parent_path(), output("checkpoints"), ignored);
  saved_step_ = is_ours ? state_.step : -1;
  log_info("resuming from " + where + " after step " + std::to_string(state_.step) + " of " +
           std::to_string(total_steps_));
  // Also what a killed run left half-written or half-removed there.
  checkpoint::rotate_checkpoints(output("checkpoints"), options_.checkpoint.save_total_limit);
}

void Trainer::train_step() {
  const auto start = std::chrono::steady_clock::now();
  const data::StepPlan plan = plans_.take(state_.sampler);
  const double data_wait = seconds_since(start);
  optimizer_.zero_gradients();
  const losses::BatchCounts counts = step_counts(plan);
  const StepResult result = compute(plan, counts);
  if (state_.step == 0) check_reference(result);
  const double norm = optimizer_.gradient_norm();
  const double rate = learning_rate(options_.optimizer, state_.step, total_steps_);
  if (std::isfinite(result.loss) && std::isfinite(norm)) {
    state_.guard.record_finite();
    const double limit = options_.optimizer.max_grad_norm;
    optimizer_.step(rate, limit > 0 && norm > limit ? limit / (norm + 1e-6) : 1.0);
  } else {
    skip_update(plan, result.loss, norm);
  }
  state_.step += 1;
  state_.sampler = plans_.sampler().next(state_.sampler);
  state_.num_tokens += plan.counts.tokens;
  if (state_.step % options_.logging.logging_steps == 0 || state_.step == total_steps_) {
    log_step(plan, counts, result, rate, norm, {seconds_since(start), data_wait});
  }
}

losses::BatchCounts Trainer::step_counts(const data::StepPlan& plan) const {
  losses::BatchCounts counts = batch_counts(plan.counts);
  counts.rejected_seen = rejected_weight_ * share_seen(state_.sampler, steps_per_epoch_);
  if (parts_.objective.needs_mismatched()) {
    MismatchedRows rows(parts_.train_set, plan.examples, parts_.policy.config(),
                        {.micro_batch_tokens = options_.train.micro_batch_tokens});
    counts.kl = *rows.kl(parts_.policy, *parts_.reference, [] { return false; });
  }
  return counts;
}

StepResult Trainer::compute(const data::StepPlan& plan, const losses::BatchCounts& counts) {
  try {
    return compute_step(parts_.policy, parts_.reference, plan, counts, parts_.objective, optimizer_);
  } catch (const losses::PoleError& error) {
    throw Error(ErrorKind::kNonFinite, std::string(error.what()) + " (step " +
                                           std::to_string(state_.step + 1) + ", " +
                                           where_of(parts_.train_set, plan, error.row()) + ")");
  }
}

void Trainer::skip_update(const data::StepPlan& plan, double loss, double norm) {
  const std::int64_t step = state_.step + 1;
  const NonFiniteGuard::Verdict verdict = state_.guard.record_non_finite(step);
  progress_.clear();
  log_warning("step " + std::to_string(step) + " is skipped: loss " + number(loss) + ", gradient norm " +
              number(norm) + "; rows " + row_names(parts_.train_set, plan));
  if (verdict == NonFiniteGuard::Verdict::kSkipAndDump) {
    const auto path = output("non_finite_step_" + std::to_string(step) + ".json");
    dump_batch(path, parts_.train_set, plan);
    log_warning("the batch of step " + std::to_string(step) + " was written to " + path.string());
  }
  if (verdict == NonFiniteGuard::Verdict::kGiveUp) {
    throw Error(ErrorKind::kNonFinite, "[train] step " + std::to_string(step) +
                                           ": too many steps with a loss or gradient that is not finite (" +
                                           std::to_string(state_.guard.total()) +
                                           " in all); the last checkpoint is kept; try a smaller "
                                           "optimizer.learning_rate or look at the rows named above");
  }
}

void Trainer::check_reference(const StepResult& result) const {
  if (!parts_.reference_is_base || !parts_.objective.reads_reference()) return;
  const double per_token = log_prob_tolerance(parts_.policy.head_weight().scalar_type());
  for (const losses::LossRow& row : result.rows) {
    const double allowed =
        parts_.reference->is_live() ? kMaxStartLogRatio : per_token * static_cast<double>(row.num_tokens);
    if (!(std::fabs(row.log_ratio()) > allowed)) continue;
    throw model_error(
        "[reference] policy and reference are the same folder, but their log-probabilities differ by " +
        number(std::fabs(row.log_ratio())) +
        " nats before the first update; likely one of them was changed on disk while it was "
        "loaded, or the two compute in different types");
  }
}

void Trainer::log_step(const data::StepPlan& plan, const losses::BatchCounts& counts,
                       const StepResult& result, double rate, double norm, StepTimes times) {
  losses::Metrics metrics = losses::preference_metrics(result.rows, parts_.objective, counts, result.loss);
  const double flops =
      step_flops(parts_.policy.config(), plan, parts_.reference != nullptr && parts_.reference->is_live());
  const double tokens_per_second = static_cast<double>(plan.counts.tokens) / times.seconds;
  metrics.emplace_back("grad_norm", norm);
  metrics.emplace_back("learning_rate", rate);
  metrics.emplace_back(
      "epoch", static_cast<double>(state_.sampler.epoch) +
                   static_cast<double>(state_.sampler.step_in_epoch) / static_cast<double>(steps_per_epoch_));
  metrics.emplace_back("num_tokens", static_cast<double>(state_.num_tokens));
  metrics.emplace_back("skipped_steps", static_cast<double>(state_.guard.total()));
  metrics.emplace_back("step_time_s", times.seconds);
  metrics.emplace_back("data_wait_s", times.data_wait);
  metrics.emplace_back("tokens_per_second", tokens_per_second);
  metrics.emplace_back("mfu", flops / times.seconds / matmul_rate_);
  metrics.emplace_back("padding_fraction", 0.0);
  metrics.emplace_back("peak_memory_bytes", static_cast<double>(peak_memory_bytes(device_)));
  metrics_->write("train", state_.step, metrics);
  progress_.clear();
  log_info("step " + std::to_string(state_.step) + "/" + std::to_string(total_steps_) + "  loss " +
           number(result.loss) + "  chosen " + number(metric(metrics, "log_ratio/chosen"), "%+.3f") +
           "  rejected " + number(metric(metrics, "log_ratio/rejected"), "%+.3f") + "  grad_norm " +
           number(norm) + "  lr " + number(rate) + "  " + number(times.seconds, "%.2f") + " s");
  progress_.update(state_.step, tokens_per_second);
}

bool Trainer::evaluation_due() const {
  if (parts_.eval_sets.empty() && !samples_->has_prompts()) return false;
  if (metrics_->last_evaluation() == state_.step) return false;
  const EvalOptions& eval = options_.eval;
  if (eval.eval_strategy == EvalStrategy::kNo) return false;
  if (state_.step >= total_steps_) return true;
  if (state_.step == 0) return eval.eval_on_start;
  if (eval.eval_strategy == EvalStrategy::kEpoch) return state_.sampler.step_in_epoch == 0;
  return state_.step % eval.eval_steps == 0;
}

// False when a stop was asked for before the evaluation was done; it is made up for after the resume.
bool Trainer::evaluate() {
  progress_.clear();
  const auto start = std::chrono::steady_clock::now();
  losses::Metrics all;
  for (EvaluationSet& set : parts_.eval_sets) {
    const auto metrics = set.evaluate(parts_.policy, parts_.objective, [&] { return stop_.requested(); });
    if (!metrics) return false;
    log_info("eval " + set.name() + " at step " + std::to_string(state_.step) + "  loss " +
             number(metric(*metrics, "loss")) + "  accuracy " +
             number(metric(*metrics, "rewards/accuracies")) + "  auc " +
             number(metric(*metrics, "ratio/auc")) + "  chosen " +
             number(metric(*metrics, "log_ratio/chosen"), "%+.3f") + "  rejected " +
             number(metric(*metrics, "log_ratio/rejected"), "%+.3f"));
    for (const auto& [name, value] : *metrics) all.emplace_back("eval_" + set.name() + "_" + name, value);
  }
  if (samples_->has_prompts() && !sample(all)) return false;
  all.emplace_back("eval_runtime", seconds_since(start));
  metrics_->write("eval", state_.step, all);
  return true;
}

// False when a stop was asked for. A policy without finite log-probabilities is left to the training to
// judge.
bool Trainer::sample(losses::Metrics& metrics) {
  const auto start = std::chrono::steady_clock::now();
  const std::string at_step = "samples at step " + std::to_string(state_.step);
  try {
    const auto drawn = samples_->draw(parts_.policy, state_.step, [&] { return stop_.requested(); });
    if (!drawn) return false;
    const double seconds = seconds_since(start);
    log_info(at_step + "  " + std::to_string(drawn->completions) + " completions, " +
             std::to_string(drawn->unfinished) + " not finished, " + std::to_string(drawn->tokens) +
             " tokens in " + number(seconds, "%.2f") + " s, in " + output("samples.jsonl").string());
    metrics.emplace_back("eval_sampling_time_s", seconds);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kModel) throw;
    log_warning(at_step + " are left out: " + error.what());
  }
  return true;
}

bool Trainer::save_due() const {
  if (state_.step == attempted_step_ || state_.step == saved_step_ || state_.step == 0) return false;
  return state_.step >= total_steps_ || state_.step % options_.checkpoint.save_steps == 0;
}

void Trainer::save() {
  const std::string bad = optimizer_.first_non_finite();
  if (!bad.empty()) {
    throw Error(ErrorKind::kNonFinite,
                "[train] step " + std::to_string(state_.step) + ": tensor \"" + bad +
                    "\" holds values that are not finite; not saved, the last checkpoint is kept");
  }
  metrics_->sync();
  const auto folder = output("checkpoints");
  checkpoint::CheckpointWriter writer(folder, state_.step);
  writer.add_tensors("model.safetensors", optimizer_.master_weights());
  writer.add_tensors("optimizer.safetensors", optimizer_.state());
  writer.add_text("trainer.json", state_.to_json().dump(1) + "\n");
  for (const std::filesystem::path& file : models::auxiliary_files(parts_.base_model.path)) {
    writer.add_text(file.filename().string(), read_file(file, ErrorKind::kModel));
  }
  const auto path = writer.commit({{"run", parts_.identity}});
  saved_step_ = state_.step;
  log_info("saved " + path.string());
  checkpoint::rotate_checkpoints(folder, options_.checkpoint.save_total_limit);
}

void Trainer::save_or_count_failure() {
  progress_.clear();
  attempted_step_ = state_.step;
  try {
    save();
    failed_saves_ = 0;
  } catch (const Error& error) {
    const bool last = state_.step >= total_steps_ || ++failed_saves_ >= kMaxFailedSaves;
    if (error.kind() != ErrorKind::kSave || last) throw;
    log_warning(std::string("a checkpoint could not be saved, the next is tried after the next interval: ") +
                error.what());
  }
}

void Trainer::stop_now() {
  progress_.clear();
  const std::string reason = stop_.reason();
  log_info("stopping: " + reason);
  if (state_.step == 0) stop_.leave_if_requested();
  if (state_.step != saved_step_) save();
  throw Error(ErrorKind::kInterrupted,
              "[train] stopped by " + reason + " after step " + std::to_string(state_.step) + " of " +
                  std::to_string(total_steps_) + "; the checkpoint is saved, run the same command to go on");
}

void Trainer::export_final() {
  const auto target = output("final");
  const auto fresh = output("final.new");
  remove_old(fresh);
  models::export_model_folder(parts_.base_model.path, optimizer_.master_weights(),
                              base_dtype(parts_.base_model), fresh);
  remove_old(target);
  rename_durable(fresh, target);
  log_info("exported " + target.string());
}

}  // namespace ddro::train
