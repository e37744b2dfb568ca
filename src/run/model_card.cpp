#include "ddro/run/model_card.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "ddro/run/summaries.h"
#include "ddro/run/version.h"
#include "ddro/train/schedule.h"
#include "run/card_header.h"
#include "run/identity.h"
#include "run/start_model.h"

namespace ddro::run {
namespace {

using Rows = std::vector<std::pair<std::string, std::string>>;

// Text as Markdown shows it, in a cell of a table too.
std::string code(const std::string& text) {
  std::string inner;
  for (const char c : printable(text, 400)) {
    if (c == '|') inner += '\\';
    inner += c == '`' ? '\'' : c;
  }
  return "`" + inner + "`";
}

std::string table(const std::string& left, const std::string& right, const Rows& rows) {
  std::string text = "| " + left + " | " + right + " |\n| --- | --- |\n";
  for (const auto& [name, value] : rows) text += "| " + name + " | " + value + " |\n";
  return text;
}

std::string trained_part(const LoadedRun& run) {
  if (!run.adapter) return "all weights";
  const std::optional<std::string>& start = run.config.adapter.adapter_name_or_path;
  return models::summary(run.adapter->spec) + (start ? ", going on from " + code(public_name(*start)) : "");
}

std::string reference(const LoadedRun& run) {
  if (!run.objective->reads_reference()) return "none";
  const std::string what = run.reference_model ? code(public_name(*run.config.reference.model_name_or_path))
                                               : describe_reference(run);
  return what + ", weights " + code(run.reference_folder().weights_hash);
}

std::string training_data(const LoadedRun& run) {
  std::string names;
  for (const data::TrainFiles& files : run.config.data.train_files) {
    names += (names.empty() ? "" : ", ") + code(public_name(files.pattern));
    if (files.weight != 1) names += " (weight " + printable(files.weight) + ")";
  }
  const data::Dataset& set = run.train.dataset;
  return names + ": " + std::to_string(set.examples.size()) + " " + kind_label(set.kind) + ", content " +
         code(set.content_hash);
}

std::string optimizer(const LoadedRun& run) {
  const train::OptimizerOptions& options = run.config.optimizer;
  return std::string(enum_name(options.optim)) + ", learning rate " + printable(options.learning_rate) + " " +
         enum_name(options.lr_scheduler_type) + ", warm-up " +
         std::to_string(train::num_warmup_steps(options, run.total_steps)) + " steps, weight decay " +
         printable(options.weight_decay) + ", gradient norm " +
         (options.max_grad_norm > 0 ? "at most " + printable(options.max_grad_norm) : "not bounded");
}

Rows facts(const LoadedRun& run, std::int64_t step) {
  return {{"base model", code(base_name(run)) + (run.fitted ? ", fitted to the rows first" : "") +
                             ", weights " + code(run.base_model.weights_hash)},
          {"trained", trained_part(run)},
          {"loss", code(run_identity(run).at("loss").get<std::string>())},
          {"reference", reference(run)},
          {"training data", training_data(run)},
          {"steps", std::to_string(step) + " of " + std::to_string(run.total_steps) + ", " +
                        std::to_string(run.config.train.train_batch_size) + " examples each"},
          {"optimizer", optimizer(run)},
          {"seed", std::to_string(run.config.train.seed)},
          {"computed in", dtype_label(run.dtype) + " on " + (run.device.is_cuda() ? "CUDA" : "the CPU")},
          {"program", code(version_text())}};
}

// What the sets gave, without the times that it took.
Rows figures(const LoadedRun& run, const Json& evaluation) {
  Rows rows;
  for (const auto& [name, value] : evaluation.items()) {
    const bool is_of_set = std::any_of(
        run.eval_sets.begin(), run.eval_sets.end(),
        [&, &key = name](const RunSet& set) { return key.starts_with("eval_" + set.name + "_"); });
    if (is_of_set && value.is_number()) rows.emplace_back(code(name), printable(value.get<double>(), "%.6g"));
  }
  return rows;
}

std::string evaluation_section(const LoadedRun& run, const Json& evaluation) {
  const Rows rows = figures(run, evaluation);
  if (rows.empty()) return "";
  return "\n## Evaluation\n\nAfter step " + evaluation.at("step").dump() + ":\n\n" +
         table("metric", "value", rows);
}

}  // namespace

std::string model_card(const LoadedRun& run, std::int64_t step, const Json& evaluation) {
  const std::string name = losses::loss_name(run.config.objective.loss_type);
  return card_header(run) + "\n# " + printable(base_name(run)) + ", trained with " + name +
         "\n\nWritten by ddro-train at the end of step " + std::to_string(step) + " of its run.\n\n" +
         table("", "", facts(run, step)) + evaluation_section(run, evaluation);
}

std::string merged_card(std::string card) {
  const std::string adapter = std::string("library_name: \"") + kAdapterLibrary + "\"";
  if (const size_t at = card.find(adapter); at != std::string::npos)
    card.replace(at, adapter.size(), std::string("library_name: \"") + kModelLibrary + "\"");
  return card;
}

}  // namespace ddro::run
