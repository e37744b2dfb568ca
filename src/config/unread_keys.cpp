#include "config/unread_keys.h"

#include "ddro/base/log.h"

namespace ddro::config {
namespace {

using train::Optim;
using train::Schedule;

struct Condition {
  const char* key;
  bool (*is_read)(const RunConfig&);
  const char* otherwise;
};

bool reads_reference(const RunConfig& c) { return losses::needs_reference(c.objective.loss_type); }
bool caches_reference(const RunConfig& c) {
  return reads_reference(c) && c.reference.precompute_ref_log_probs;
}
bool has_warmup(const RunConfig& c) { return c.optimizer.lr_scheduler_type != Schedule::kConstant; }
bool is_muon(const RunConfig& c) { return c.optimizer.optim == Optim::kMuon; }
bool may_have_momentum(const RunConfig& c) { return c.optimizer.optim == Optim::kSgd || is_muon(c); }
bool has_momentum(const RunConfig& c) { return may_have_momentum(c) && c.optimizer.used_momentum() > 0; }
bool has_adamw(const RunConfig& c) { return c.optimizer.optim == Optim::kAdamW || is_muon(c); }
bool has_betas(const RunConfig& c) { return has_adamw(c) || c.optimizer.optim == Optim::kLion; }
bool evaluates(const RunConfig& c) { return c.eval.eval_strategy != IntervalStrategy::kNo; }
bool samples(const RunConfig& c) { return evaluates(c) && c.eval.prompts.has_value(); }
bool draws(const RunConfig& c) { return samples(c) && c.eval.samples.sampling.temperature > 0; }

bool has_new_adapter(const RunConfig& c) {
  return c.adapter.adapter_type.has_value() && !c.adapter.adapter_name_or_path;
}

constexpr const char* kNoAdapter =
    "without adapter.adapter_type all weights are trained, and the adapter of adapter.adapter_name_or_path "
    "has its "
    "own";
constexpr const char* kNoPrompts = "no answers are sampled without eval.prompts";
constexpr const char* kGreedy = "temperature 0 takes the most probable token; or there are no eval.prompts";

// A value that asks for what happens anyway is no mistake.
constexpr Condition kConditions[] = {
    {"model.base_dtype",
     [](const RunConfig& c) { return c.adapter.is_used() || c.model.base_dtype == models::BaseDType::kAuto; },
     "there is no adapter"},
    {"adapter.adapter_type",
     [](const RunConfig& c) { return !c.adapter.adapter_type || !c.adapter.adapter_name_or_path; },
     "the adapter of adapter.adapter_name_or_path has its own"},
    {"adapter.r", has_new_adapter, kNoAdapter},
    {"adapter.lora_alpha", has_new_adapter, kNoAdapter},
    {"adapter.target_modules", has_new_adapter, kNoAdapter},
    {"adapter.use_rslora", has_new_adapter, kNoAdapter},
    {"adapter.modules_to_save", has_new_adapter, kNoAdapter},
    {"export.adapter",
     [](const RunConfig& c) {
       return c.adapter.is_used() || c.final_model.adapter == models::AdapterExport::kSeparate;
     },
     "there is no adapter"},
    {"reference.model_name_or_path", reads_reference, "the loss reads no reference"},
    {"reference.precompute_ref_log_probs", reads_reference, "the loss reads no reference"},
    {"reference.ref_cache_dir", caches_reference, "no log-probabilities of a reference are kept"},
    {"reference.fit",
     [](const RunConfig& c) {
       return c.reference.fit == models::ReferenceFit() ||
              (reads_reference(c) && c.reference.fit.num_train_epochs > 0);
     },
     "the loss reads no reference, or its num_train_epochs is 0"},
    {"train.num_train_epochs", [](const RunConfig& c) { return c.train.max_steps < 1; },
     "train.max_steps decides how long the run is"},
    {"optimizer.warmup_ratio",
     [](const RunConfig& c) {
       return c.optimizer.warmup_ratio == 0 || (has_warmup(c) && c.optimizer.warmup_steps == 0);
     },
     "lr_scheduler_type constant has no warm-up (constant_with_warmup has), and warmup_steps comes before "
     "it"},
    {"optimizer.warmup_steps",
     [](const RunConfig& c) { return c.optimizer.warmup_steps == 0 || has_warmup(c); },
     "lr_scheduler_type constant has no warm-up; constant_with_warmup has"},
    {"optimizer.momentum", [](const RunConfig& c) { return !c.optimizer.momentum || may_have_momentum(c); },
     "optim is neither sgd nor muon"},
    {"optimizer.nesterov", [](const RunConfig& c) { return !c.optimizer.used_nesterov() || has_momentum(c); },
     "only sgd and muon with momentum have it"},
    {"optimizer.adjust_lr_fn", is_muon, "optim is not muon"},
    {"optimizer.adam_beta1", has_betas, "only adamw, muon and lion have it"},
    {"optimizer.adam_beta2", has_betas, "only adamw, muon and lion have it"},
    {"optimizer.adam_epsilon", has_adamw, "only adamw and muon have it"},
    {"optimizer.moment_dtype",
     [](const RunConfig& c) { return c.optimizer.optim != Optim::kSgd || has_momentum(c); },
     "sgd without momentum keeps no moments"},
    {"eval.eval_steps", [](const RunConfig& c) { return c.eval.eval_strategy == IntervalStrategy::kSteps; },
     "eval_strategy is not steps"},
    {"checkpoint.save_steps",
     [](const RunConfig& c) { return c.checkpoint.save_strategy == IntervalStrategy::kSteps; },
     "save_strategy is not steps"},
    {"eval.eval_on_start",
     [](const RunConfig& c) {
       return !c.eval.eval_on_start || (evaluates(c) && (!c.data.eval_files.empty() || c.eval.prompts));
     },
     "nothing is evaluated: eval_strategy is no, or there are neither data.eval_files nor eval.prompts"},
    {"eval.num_prompts", samples, kNoPrompts},
    {"eval.num_samples", samples, kNoPrompts},
    {"eval.max_new_tokens", samples, kNoPrompts},
    {"eval.temperature", samples, kNoPrompts},
    {"eval.greater_is_better",
     [](const RunConfig& c) { return c.eval.metric_for_best_model || !c.eval.greater_is_better; },
     "no evaluation is the best without eval.metric_for_best_model"},
    {"eval.top_k", draws, kGreedy},
    {"eval.top_p", draws, kGreedy},
};

}  // namespace

void warn_of_unread_keys(const RunConfig& config, const Places& places) {
  for (const Condition& condition : kConditions) {
    const auto place = places.find(condition.key);
    if (place == places.end() || condition.is_read(config)) continue;
    log_warning("[" + place->second + " " + condition.key + "] has no effect: " + condition.otherwise);
  }
}

}  // namespace ddro::config
