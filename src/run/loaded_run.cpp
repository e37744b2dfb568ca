#include "ddro/run/loaded_run.h"

#include <chrono>
#include <cmath>

#include "ddro/base/files.h"
#include "ddro/base/log.h"
#include "ddro/data/mixture.h"
#include "ddro/models/model_config.h"
#include "ddro/models/packed_base.h"
#include "ddro/ops/repeatable.h"
#include "ddro/run/setup.h"
#include "ddro/run/summaries.h"
#include "ddro/run/version.h"
#include "ddro/train/schedule.h"
#include "ddro/train/weight_parts.h"
#include "run/best_metric.h"
#include "run/fit_reference.h"
#include "run/gpu.h"
#include "run/start_model.h"

namespace ddro::run {
namespace {

constexpr double kMaxAlphaDistance = 0.05;

// The date that templates show: that of the first start of the run, or of the fit that came before it, else
// now.
std::time_t template_date(const std::filesystem::path& output_dir) {
  for (const auto& folder : {output_dir, output_dir / kReferenceRun}) {
    const Json record = read_run_record(folder);
    const Json date = record.is_object() ? record.value("template_date", Json()) : Json();
    if (date.is_number_integer()) return date.get<std::time_t>();
  }
  return std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
}

// An adapter that the run goes on from may have a tokenizer and a template of its own.
text::ModelText load_run_text(const config::RunConfig& config, const std::filesystem::path& model_path) {
  const auto& adapter = config.adapter.adapter_name_or_path;
  if (!adapter) return load_text(model_path, config.data.chat_template, config.model.eos_token);
  return text::load_model_text(models::resolve_model_path(*adapter), config.data.chat_template,
                               config.model.eos_token, model_path);
}

RunSet load_set(const std::string& name, const std::vector<std::string>& files, const LoadedRun& run) {
  const std::string folder = run.config.data.token_cache_dir.value_or(run.output("token_cache").string());
  data::DataOptions options = run.config.data;
  options.unlabelled_is_preferred = run.config.objective.loss_type == losses::LossType::kSft;
  data::LoadedSet set = data::load_dataset(files, options, run.text, run.now, {folder, version_text()});
  log_report(name, set.dataset);
  return {name, std::move(set.dataset), std::move(set.missing), nullptr};
}

std::vector<data::Prompt> load_sample_prompts(const LoadedRun& run) {
  const config::RunConfig& config = run.config;
  if (!config.eval.prompts) return {};
  std::vector<data::Prompt> prompts = data::load_prompts(
      {*config.eval.prompts}, config.data, data::make_text_source(run.text, config.data, run.now));
  const auto most = static_cast<size_t>(config.eval.num_prompts);
  if (prompts.size() > most) prompts.resize(most);
  return prompts;
}

void warn_of_unread_kwargs(const LoadedRun& run) {
  for (const auto& [name, value] : run.config.data.chat_template_kwargs.items()) {
    if (run.text.chat_template && run.text.chat_template->mentions(name)) continue;
    log_warning(
        "[data.chat_template_kwargs." + printable(name) + "] has no effect: " +
        (run.text.chat_template ? "the chat template does not read it" : "there is no chat template"));
  }
}

void check_moments(const LoadedRun& run) {
  if (run.dtype != at::kDouble || run.config.optimizer.moment_dtype == train::MomentDType::kFloat32) return;
  throw input_error(
      "[optimizer.moment_dtype] short moments are of float32 weights; model.dtype float64 keeps its own, "
      "expected float32 (the default)");
}

void check_replays(const LoadedRun& run) {
  const train::TrainOptions& train = run.config.train;
  if (train.replay_check_steps == 0 || !run.device.is_cuda() || train.full_determinism) return;
  throw input_error(
      "[train.replay_check_steps] on a GPU a step gives the same bits twice with train.full_determinism "
      "alone; set it to true, or replay_check_steps to 0");
}

void check_rows_suit_loss(const LoadedRun& run) {
  const losses::LossTypes& loss = run.config.objective.loss_type;
  if (losses::needs_pairs(loss) && run.train.dataset.kind != data::RowKind::kPaired) {
    throw input_error("[objective.loss_type] " + losses::loss_name(loss) +
                      " needs pairs; data.train_files holds single completions; use ddro or rdro");
  }
  if (losses::needs_mismatched(loss) && run.config.train.train_batch_size < 2) {
    throw input_error("[train.train_batch_size] " + losses::loss_name(loss) +
                      " scores completions under the prompts of other examples of the step; got 1, expected "
                      "at least 2");
  }
}

void make_objective(LoadedRun& run) {
  const double share = data_alpha(run.train.dataset);
  run.objective = losses::make_objective(run.config.objective, share);
  if (std::fabs(run.objective->alpha() - share) > kMaxAlphaDistance) {
    log_warning("objective.alpha is " + printable(run.objective->alpha(), "%.3g") +
                ", the preferred share of the training rows is " + printable(share, "%.3g"));
  }
}

void open_models(LoadedRun& run, const std::filesystem::path& model_path) {
  const config::RunConfig& config = run.config;
  if (fits_reference(config)) run.fitted = fitted_model(config);
  open_start_model(run, run.fitted.value_or(model_path));
  if (config.reference.model_name_or_path && losses::needs_reference(config.objective.loss_type)) {
    auto reference =
        models::open_model_folder(models::resolve_model_path(*config.reference.model_name_or_path));
    check_same_ids(reference, run.base_model, *run.text.tokenizer);
    if (reference.weights_hash != run.base_model.weights_hash) run.reference_model = std::move(reference);
  }
  check_fits_model(run.train.dataset, run.base_model.spec);
  for (const RunSet& set : run.eval_sets) check_fits_model(set.dataset, run.base_model.spec);
  check_fits_model(run.prompts, run.base_model.spec);
}

void set_router_loss(LoadedRun& run) {
  const models::ModelSpec& spec = run.base_model.spec;
  const std::optional<double>& asked = run.config.model.router_aux_loss_coef;
  if (asked && models::num_experts(spec) == 0) {
    throw input_error("[model.router_aux_loss_coef] " + spec.model_type +
                      " has no experts to balance; expected auto");
  }
  run.router_aux_loss_coef = asked.value_or(spec.router_aux_loss_coef.value_or(0));
}

void warn_of_base_dtype(const LoadedRun& run) {
  if (!run.keeps_stored_dtype()) return;
  const auto bytes = [&](bool keep_stored_dtype) {
    return models::bytes_of_base(run.base_model, {.device = run.device,
                                                  .dtype = run.dtype,
                                                  .adapter = &*run.adapter,
                                                  .keep_stored_dtype = keep_stored_dtype});
  };
  if (bytes(true) < bytes(false)) return;
  log_warning("[model.base_dtype] has no effect: no product reads weights in a shorter type than " +
              dtype_label(run.dtype));
}

void warn_of_slow_paths(const LoadedRun& run) {
  if (!run.device.is_cuda()) return;
  for (const std::string& remark : gpu_remarks(run.base_model.spec, run.dtype)) log_warning(remark);
}

void check_one_class_steps(const LoadedRun& run) {
  const bool one_is_enough = run.config.objective.loss_type == losses::LossType::kSft &&
                             run.train.dataset.class_weight(data::CompletionClass::kRejected) == 0;
  if (run.one_class_steps == 0 || one_is_enough) return;
  const std::string steps =
      std::to_string(run.one_class_steps) + " of " + std::to_string(run.steps_per_epoch) + " steps";
  if (losses::uses_option(run.config.objective, "stabilizer") &&
      run.config.objective.stabilizer == losses::Stabilizer::kNnbd) {
    throw input_error("[objective.stabilizer] nnbd needs both classes in every step; " + steps +
                      " hold one class; raise train.train_batch_size");
  }
  log_warning(steps + " of an epoch hold one class only; a larger train.train_batch_size avoids that");
}

void plan_steps(LoadedRun& run) {
  const data::StratifiedSampler sampler = run.sampler();
  run.steps_per_epoch = sampler.steps_per_epoch();
  run.one_class_steps = sampler.one_class_steps();
  run.total_steps = train::num_total_steps(run.config.train, run.steps_per_epoch);
  check_one_class_steps(run);
  train::check_schedule(run.config.optimizer, run.total_steps);
  const std::int64_t warmup = train::num_warmup_steps(run.config.optimizer, run.total_steps);
  if (warmup >= run.total_steps) {
    log_warning("the warm-up takes all of the run's steps (" + std::to_string(warmup) + " of " +
                std::to_string(run.total_steps) +
                "): the learning rate begins at 0 and never reaches optimizer.learning_rate" +
                (run.total_steps == 1 ? "; nothing is trained" : "") +
                "; lower optimizer.warmup_ratio or optimizer.warmup_steps, or train for longer");
  }
}

}  // namespace

std::filesystem::path LoadedRun::output(const std::string& name) const {
  return std::filesystem::path(config.train.output_dir) / name;
}

data::PackOptions LoadedRun::pack_options() const {
  return {.micro_batch_tokens = config.train.micro_batch_tokens_on(device.is_cpu()), .num_shares = num_ranks};
}

data::StratifiedSampler LoadedRun::sampler() const {
  return {train.dataset, config.train.train_batch_size, static_cast<std::uint64_t>(config.train.seed)};
}

bool LoadedRun::evaluates() const { return config.eval.eval_strategy != IntervalStrategy::kNo; }

std::shared_ptr<models::WeightStore> LoadedRun::make_weight_store() const {
  if (config.distributed.shard != dist::Shard::kFull || ranks->size() == 1) return nullptr;
  return std::make_shared<train::WeightParts>(*ranks);
}

bool LoadedRun::keeps_stored_dtype() const {
  return adapter && config.model.base_dtype == models::BaseDType::kStored;
}

std::unique_ptr<models::CausalLm> LoadedRun::build_frozen(const models::ModelFolder& folder) const {
  return models::make_causal_lm(folder.spec, folder.tensors,
                                {.device = device,
                                 .dtype = dtype,
                                 .trainable = false,
                                 .adapter = folder.adapter ? &*folder.adapter : nullptr,
                                 .keep_stored_dtype = keeps_stored_dtype(),
                                 .store = make_weight_store()});
}

models::ExportOptions LoadedRun::export_options() const {
  models::ExportOptions options;
  if (!base_model.adapter_path.empty()) options.text_folder = base_model.adapter_path;
  options.own_head = !base_model.spec.tie_word_embeddings &&
                     models::parse_model_config(base_model.config_json, "config.json").tie_word_embeddings;
  options.chat_template = text.new_chat_template;
  if (text.new_eos_token)
    options.eos_token = models::EndToken{*text.new_eos_token, {text.end_ids.begin(), text.end_ids.end()}};
  return options;
}

bool LoadedRun::caches_reference() const {
  return config.reference.precompute_ref_log_probs && objective->reads_reference() &&
         !objective->needs_mismatched();
}

Json LoadedRun::reference_source() const {
  if (!objective->reads_reference()) return nullptr;
  return caches_reference() ? "cached" : "live";
}

Json LoadedRun::reference_hash() const {
  if (!objective->reads_reference()) return nullptr;
  return reference_folder().weights_hash;
}

Json read_run_record(const std::filesystem::path& output_dir) {
  const std::filesystem::path path = output_dir / "run.json";
  std::error_code ignored;
  return std::filesystem::exists(path, ignored) ? read_json_file(path.string(), ErrorKind::kModel)
                                                : Json(nullptr);
}

LoadedRun load_run(config::RunConfig config, int local_rank) {
  LoadedRun run;
  run.config = std::move(config);
  run.now = template_date(run.config.train.output_dir);
  run.device = default_device(local_rank);
  run.dtype = compute_dtype(run.config.model.dtype, run.device);
  if (run.config.train.full_determinism) ops::require_repeatable(run.device);
  check_moments(run);
  check_replays(run);
  const auto model_path = models::resolve_model_path(run.config.model.model_name_or_path);
  run.text = load_run_text(run.config, model_path);
  warn_of_unread_kwargs(run);
  run.train = load_set("train", data::patterns_of(run.config.data.train_files), run);
  data::set_mixture(run.config.data.train_files, run.train.dataset);
  for (const auto& [name, files] : run.config.data.eval_files)
    run.eval_sets.push_back(load_set(name, {files}, run));
  run.prompts = load_sample_prompts(run);
  check_rows_suit_loss(run);
  make_objective(run);
  run.best_metric = find_best_metric(run);
  open_models(run, model_path);
  set_router_loss(run);
  warn_of_base_dtype(run);
  warn_of_slow_paths(run);
  plan_steps(run);
  return run;
}

}  // namespace ddro::run
