#include "run/identity.h"

#include <ATen/Parallel.h>
#include <torch/version.h>

#include <algorithm>
#include <map>

#include "ddro/base/hash.h"
#include "ddro/base/log.h"
#include "ddro/base/tensor_io.h"
#include "ddro/run/train_run.h"
#include "ddro/train/schedule.h"

namespace ddro::run {
namespace {

using config::OnChange;

// What a configuration resolves to: name, what a change means, value.
struct Resolved {
  const char* name;
  OnChange on_change;
  Json (*value)(const LoadedRun&);
};

// The objective with alpha as resolved: `auto` on other data is another loss.
Json resolved_objective(const LoadedRun& run) {
  losses::ObjectiveOptions options = run.config.objective;
  if (losses::uses_option(options, "alpha")) options.alpha = run.objective->alpha();
  return config::describe_objective(options);
}

// The weights of the training files; null: each row occurs once an epoch.
Json mixture_weights(const LoadedRun& run) {
  Json weights;
  for (const data::MixturePart& part : run.train.dataset.mixture) weights.push_back(part.weight);
  return weights;
}

// Which layers it has, and how; what it starts from stands in the hashes of base model and seed.
Json resolved_adapter(const LoadedRun& run) {
  if (!run.adapter) return nullptr;
  const models::AdapterSpec& adapter = run.adapter->spec;
  return models::summary(adapter) + ", " + hash_text(models::describe(adapter).dump());
}

const Resolved kResolved[] = {
    {"data", OnChange::kMeaning, [](const LoadedRun& run) { return Json(run.train.dataset.content_hash); }},
    {"mixture", OnChange::kOrder, mixture_weights},
    {"tokenizer", OnChange::kMeaning, [](const LoadedRun& run) { return Json(run.text.tokenizer_hash); }},
    {"template", OnChange::kMeaning, [](const LoadedRun& run) { return Json(run.text.template_hash); }},
    {"end_tokens", OnChange::kMeaning, [](const LoadedRun& run) { return Json(run.text.end_ids); }},
    {"base_model", OnChange::kMeaning,
     [](const LoadedRun& run) { return Json(run.base_model.weights_hash); }},
    {"adapter", OnChange::kMeaning, resolved_adapter},
    {"loss", OnChange::kMeaning, resolved_objective},
    {"reference", OnChange::kMeaning, [](const LoadedRun& run) { return run.reference_hash(); }},
    {"total_steps", OnChange::kCourse, [](const LoadedRun& run) { return Json(run.total_steps); }},
    {"warmup_steps", OnChange::kCourse,
     [](const LoadedRun& run) {
       return Json(train::num_warmup_steps(run.config.optimizer, run.total_steps));
     }},
    {"dtype", OnChange::kBits, [](const LoadedRun& run) { return Json(dtype_label(run.dtype)); }},
    {"reference_log_probs", OnChange::kBits, [](const LoadedRun& run) { return run.reference_source(); }},
    {"libtorch", OnChange::kBits, [](const LoadedRun&) { return Json(TORCH_VERSION); }},
    {"device", OnChange::kBits,
     [](const LoadedRun& run) { return Json(run.device.is_cuda() ? "cuda" : "cpu"); }},
    {"ranks", OnChange::kBits, [](const LoadedRun& run) { return Json(run.num_ranks); }},
    {"threads", OnChange::kBits, [](const LoadedRun&) { return Json(at::get_num_threads()); }},
};

OnChange on_change(const std::string& name) {
  static const std::map<std::string, OnChange> rules = [] {
    std::map<std::string, OnChange> all;
    for (const config::Setting& setting : config::list_settings({})) all[setting.key] = setting.on_change;
    for (const Resolved& resolved : kResolved) all[resolved.name] = resolved.on_change;
    return all;
  }();
  const auto found = rules.find(name);
  // Options of another loss than the default one.
  return found == rules.end() ? OnChange::kResolved : found->second;
}

// The name of --allow-change that covers a change of meaning.
std::string part_of(const std::string& name) {
  if (name.starts_with("data.")) return "data";
  return name == "end_tokens" ? "template" : name;
}

struct Change {
  std::string name;
  OnChange on_change;
  std::string text;  // "name: old -> new"
};

// Changes that are refused come first, so that nothing is said of a run that does not go on.
std::vector<Change> changes_between(const RunIdentity& stored, const RunIdentity& current) {
  std::vector<Change> changes;
  for (const auto& [name, value] : current.items()) {
    if (!stored.contains(name) || stored.at(name) == value) continue;
    const auto shown = [](const Json& json) {
      return printable(json.is_string() ? json.get<std::string>() : json.dump(), 200);
    };
    changes.push_back({name, on_change(name), name + ": " + shown(stored.at(name)) + " -> " + shown(value)});
  }
  std::stable_partition(changes.begin(), changes.end(), [](const Change& change) {
    return change.on_change == OnChange::kMeaning || change.on_change == OnChange::kOrder ||
           change.on_change == OnChange::kCourse;
  });
  return changes;
}

}  // namespace

const std::set<std::string>& allowable_changes() {
  static const std::set<std::string> names = {"data",       "tokenizer", "template",
                                              "base_model", "loss",      "reference"};
  return names;
}

RunIdentity run_identity(const LoadedRun& run) {
  RunIdentity identity = Json::object();
  for (const config::Setting& setting : config::list_settings(run.config))
    identity[setting.key] = setting.value;
  for (const Resolved& resolved : kResolved) identity[resolved.name] = resolved.value(run);
  return identity;
}

void check_can_resume(const RunIdentity& stored, const RunIdentity& current,
                      const std::set<std::string>& allowed) {
  const std::vector<Change> changes = changes_between(stored, current);
  for (const Change& change : changes) {
    if (change.on_change == OnChange::kOrder) {
      throw input_error("[resume] " + change.text +
                        " would change the order of samples; keep it, or use another train.output_dir");
    }
    const std::string part = part_of(change.name);
    if (change.on_change != OnChange::kMeaning || allowed.contains(part)) continue;
    const bool allowable = allowable_changes().contains(part);
    throw input_error("[resume] the run's " + part + " has changed since the checkpoint (" + change.text +
                      "); " +
                      (allowable ? "give --allow-change=" + part + " to go on with it, or" : "keep it, or") +
                      " use another train.output_dir");
  }
  for (const Change& change : changes) {
    switch (change.on_change) {
      case OnChange::kMeaning:
      case OnChange::kOrder:
        log_warning("resuming with a changed " + change.text);
        break;
      case OnChange::kBits:
        log_warning("resuming with " + change.text + ": the same run, but bits may differ");
        break;
      case OnChange::kCourse:
      case OnChange::kResolved:
      case OnChange::kNothing:
        log_info("resuming with " + change.text);
        break;
    }
  }
}

void check_is_same_run(const RunIdentity& stored, const RunIdentity& current) {
  for (const Change& change : changes_between(stored, current)) {
    switch (change.on_change) {
      case OnChange::kMeaning:
      case OnChange::kOrder:
      case OnChange::kCourse:
        throw input_error("[resume] the run has ended, with another configuration (" + change.text +
                          "); use another train.output_dir for another run");
      case OnChange::kBits:
      case OnChange::kNothing:
        log_warning("the run has ended; without effect: " + change.text);
        break;
      case OnChange::kResolved:  // to the same
        break;
    }
  }
}

}  // namespace ddro::run
