#include "run/training.h"

#include <chrono>
#include <cmath>

#include "ddro/base/log.h"
#include "ddro/train/finite.h"
#include "ddro/train/same_weights.h"
#include "ddro/train/throughput.h"
#include "run/step_rows.h"

namespace ddro::run {
namespace {

// A live reference equal to the policy leaves log-ratios of exactly 0; this much means that they are not the
// same model.
constexpr double kMaxStartLogRatio = 1e-3;

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// Restores what the members behind `state` begin with.
std::int64_t last_logged_step(const std::optional<checkpoint::Checkpoint>& resume_from) {
  return resume_from ? resume_from->step : -1;
}

}  // namespace

Training::Training(const LoadedRun& run, const models::CausalLm& policy, const models::CausalLm* reference,
                   const StopFlag& stop, RunIdentity identity,
                   const std::optional<checkpoint::Checkpoint>& resume_from, Heartbeat* heartbeat)
    : run_(run),
      policy_(policy),
      stop_(stop),
      parameters_(policy, run.adapter ? run.adapter->tensors : run.base_model.tensors, *run.ranks,
                  run.config.distributed.shard),
      frozen_(parameters_, reference),
      optimizer_(parameters_, run.config.optimizer),
      plans_(run.train.dataset, run.sampler(), run.pack_options()),
      stepper_({.policy = policy,
                .reference = run.train.reference.get(),
                .train_set = run.train.dataset,
                .objective = *run.objective,
                .pack_options = run.pack_options(),
                .steps_per_epoch = run.steps_per_epoch,
                .total_steps = run.total_steps,
                .router_aux_loss_coef = run.router_aux_loss_coef,
                .replay_check_steps = run.config.train.replay_check_steps,
                .spikes = &state_.spikes,
                .skip_spikes = run.config.train.skip_spikes,
                .ranks = *run.ranks},
               run.config.optimizer, parameters_, optimizer_),
      metrics_(run.config.train.output_dir, run.config.logging, last_logged_step(resume_from), *run.ranks),
      saver_(run, metrics_, std::move(identity)),
      evaluator_(run, stop, metrics_.last_evaluation()),
      progress_("train", run.total_steps, resume_from ? resume_from->step : 0),
      heartbeat_(heartbeat) {
  if (run.best_metric) best_.emplace(run, last_logged_step(resume_from));
  if (run.ranks->is_first()) {
    step_log_.emplace(run, policy, metrics_);
    watch_.emplace(progress_);
  }
  if (resume_from) saver_.restore(*resume_from, parameters_, optimizer_, state_);
}

void Training::run() {
  while (true) {
    saver_.note_written();
    tell_watchers();
    if (stop_.agree(*run_.ranks)) stop_now();
    if (evaluation_due()) evaluate();
    if (saver_.is_due(state_, is_done())) save();
    if (is_done()) break;
    train_step();
    note_state();
  }
  metrics_.end();
  if (state_.step < run_.total_steps) log_info("stopping early: " + best_->evaluation().why_it_ends());
}

void Training::evaluate() {
  const Doing evaluation(Activity::kEvaluation);
  progress_.clear();
  const auto metrics = evaluator_.evaluate(policy_, state_.step);
  if (!metrics) stop_now();
  if (best_) {
    saver_.wait();  // which best/ a kill would lead back to depends on it
    best_->add(state_.step, *metrics, parameters_, saver_.saved_step());
  }
  metrics_.write("eval", state_.step, *metrics);
}

void Training::tell_watchers() {
  if (heartbeat_ != nullptr) heartbeat_->set_step(state_.step);
  if (watch_) watch_->begin(state_.step + 1);
}

// Before they are saved.
void Training::check_weights() const {
  train::check_same_weights(parameters_, state_.step);
  frozen_.check(state_.step);
}

void Training::save() {
  const Doing save(Activity::kSave);
  if (watch_) watch_->begin(state_.step);
  progress_.clear();
  check_weights();
  metrics_.sync();
  saver_.save_due(parameters_, optimizer_, state_, is_done());
}

void Training::train_step() {
  const Doing step(Activity::kStep);
  if (watch_) watch_->begin(state_.step + 1);
  const auto start = std::chrono::steady_clock::now();
  const data::StepPlan plan = take_plan();
  StepTimes times{.data_wait = seconds_since(start)};
  const train::StepReport report = stepper_.step(plan, state_.sampler, state_.step);
  if (state_.step == 0) check_reference(report.result);
  if (report.is_finite) {
    state_.guard.record_finite();
    watch_for_spike(plan, report);
  } else {
    skip_update(plan, report);
  }
  state_.step += 1;
  state_.sampler = plans_.sampler().next(state_.sampler);
  state_.num_tokens += plan.num_tokens;
  if (is_first_) {
    train::check_same_weights(parameters_, state_.step);
    saver_.prepare(parameters_, optimizer_);
    is_first_ = false;
  }
  if (watch_) watch_->step_done(seconds_since(start));
  if (state_.step % run_.config.logging.logging_steps != 0 && state_.step != run_.total_steps) return;
  train::synchronize(run_.device);
  times.seconds = seconds_since(start);
  times.tokens_per_second = static_cast<double>(plan.num_tokens) / times.seconds;
  progress_.clear();
  if (step_log_) step_log_->write(plan, report, state_, times);
  progress_.update(state_.step, times.tokens_per_second);
}

// What is behind a step may take long: an evaluation, samples.
void Training::note_state() {
  if (evaluation_due() || saver_.is_due(state_, is_done())) saver_.note(parameters_, optimizer_, state_.step);
}

void Training::watch_for_spike(const data::StepPlan& plan, const train::StepReport& report) {
  state_.spikes.record(report.result.loss, report.gradient_norm, !report.updated);
  if (report.spike.empty()) return;
  progress_.clear();
  log_warning("step " + std::to_string(state_.step + 1) +
              (report.updated ? " is a spike: " : " is skipped: ") + report.spike + "; rows " +
              row_names(run_.train.dataset, plan));
}

data::StepPlan Training::take_plan() {
  const Doing waits(Activity::kData);
  return plans_.take(state_.sampler);
}

void Training::skip_update(const data::StepPlan& plan, const train::StepReport& report) {
  using Verdict = train::NonFiniteGuard::Verdict;
  const std::int64_t step = state_.step + 1;
  const Verdict verdict = state_.guard.record_non_finite(step);
  const std::string origin = train::non_finite_origin(parameters_);
  progress_.clear();
  log_warning("step " + std::to_string(step) + " is skipped: loss " + printable(report.result.loss, "%.4g") +
              ", gradient norm " + printable(report.gradient_norm, "%.4g") + "; rows " +
              row_names(run_.train.dataset, plan) + (origin.empty() ? "" : "; not finite first: " + origin));
  if (verdict == Verdict::kSkipAndDump && run_.ranks->is_first()) {
    const auto path = run_.output("non_finite_step_" + std::to_string(step) + ".json");
    dump_batch(path, run_.train.dataset, plan);
    log_warning("the batch of step " + std::to_string(step) + " was written to " + path.string());
  }
  if (verdict == Verdict::kGiveUp) {
    throw Error(ErrorKind::kNonFinite, "[train] step " + std::to_string(step) +
                                           ": too many steps with a loss or gradient that is not finite (" +
                                           std::to_string(state_.guard.total()) +
                                           " in all); the last checkpoint is kept; try a smaller "
                                           "optimizer.learning_rate or look at the rows named above");
  }
}

void Training::check_reference(const train::StepResult& result) const {
  if (run_.reference_model || !run_.objective->reads_reference()) return;
  const double per_token = train::log_prob_tolerance(policy_.head_weight().scalar_type());
  for (const losses::ScoredCompletion& completion : result.completions) {
    const double allowed = run_.train.reference->is_live()
                               ? kMaxStartLogRatio
                               : per_token * static_cast<double>(completion.num_tokens);
    if (!(std::fabs(completion.log_ratio()) > allowed)) continue;
    throw model_error(
        "[reference] policy and reference are the same folder, but their log-probabilities differ by " +
        printable(std::fabs(completion.log_ratio()), "%.4g") +
        " nats before the first update; likely one of them was changed on disk while it was "
        "loaded, or the two compute in different types");
  }
}

bool Training::evaluation_due() const {
  if (evaluator_.is_empty() || metrics_.last_evaluation() == state_.step) return false;
  const train::EvalOptions& eval = run_.config.eval;
  if (eval.eval_strategy == IntervalStrategy::kNo) return false;
  if (state_.step >= run_.total_steps) return true;
  if (state_.step == 0) return eval.eval_on_start;
  return state_.is_at(eval.eval_strategy, eval.eval_steps);
}

void Training::stop_now() {
  progress_.clear();
  stop_.agree(*run_.ranks);
  const std::string reason = stop_.reason();
  log_info("stopping: " + reason);
  if (state_.step == 0) stop_.leave_if_requested(*run_.ranks);
  check_weights();
  saver_.wait();
  if (!saver_.has_saved(state_.step)) {
    const Doing save(Activity::kSave);
    metrics_.sync();
    saver_.save(parameters_, optimizer_, state_);
  }
  run_.ranks->barrier();  // none leaves before the checkpoint is there
  throw Error(ErrorKind::kInterrupted, "[train] stopped by " + reason + " after step " +
                                           std::to_string(state_.step) + " of " +
                                           std::to_string(run_.total_steps) +
                                           "; the checkpoint is saved, run the same command to go on");
}

}  // namespace ddro::run
