#include <chrono>
#include <filesystem>
#include <memory>
#include <optional>

#include "cli/commands.h"
#include "cli/output.h"
#include "cli/row_options.h"
#include "cli/score_folder.h"
#include "ddro/data/packed_batch.h"
#include "ddro/run/setup.h"

namespace ddro::cli {
namespace {

struct ScoreArguments {
  std::string model;
  std::string reference;
  RowArguments rows;
  std::string out;
  std::string dtype = "float32";
  std::int64_t max_length = 1024;
  std::int64_t micro_batch_tokens = 8192;
};

std::vector<double> log_probs_of(const models::ModelFolder& folder, const ScoreArguments& arguments,
                                 const data::Dataset& dataset, const data::SetPlan& plan,
                                 const std::string& label) {
  return score_folder(folder, parse_enum<models::ComputeDType>("--dtype", arguments.dtype), dataset, plan,
                      label, values_of<train::ModelLogProbs>());
}

std::string score_lines(const data::Dataset& dataset, const std::vector<double>& logp,
                        const std::vector<double>& ref_logp) {
  std::string lines;
  size_t index = 0;
  for (const data::EncodedExample& example : dataset.examples) {
    for (const data::EncodedSequence& sequence : example.sequences) {
      const bool chosen = sequence.completion_class == data::CompletionClass::kChosen;
      Json line = {{"row", example.row},
                   {"role", !example.is_pair() ? "completion"
                            : chosen           ? "chosen"
                                               : "rejected"}};
      if (!example.is_pair()) line["label"] = chosen;
      line["logp"] = logp[index];
      line["ref_logp"] = ref_logp.empty() ? Json(nullptr) : Json(ref_logp[index]);
      line["log_ratio"] = ref_logp.empty() ? Json(nullptr) : Json(logp[index] - ref_logp[index]);
      line["num_tokens"] = sequence.num_completion_tokens();
      lines += line.dump() + "\n";
      ++index;
    }
  }
  return lines;
}

void run_score(const ScoreArguments& arguments) {
  parse_enum<models::ComputeDType>("--dtype", arguments.dtype);
  data::DataOptions options = data_options(arguments.rows);
  options.max_length = arguments.max_length;
  check_out(arguments.out);
  const auto path = models::resolve_model_path(arguments.model);
  const text::ModelText text = run::load_text(path, options.chat_template);
  const std::time_t now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  const data::Dataset dataset = data::load_dataset(arguments.rows.files, options, text, now);
  run::log_report("data", dataset);
  const data::SetPlan plan(dataset, {.micro_batch_tokens = arguments.micro_batch_tokens});

  const models::ModelFolder model = models::open_model_folder(path);
  std::optional<models::ModelFolder> reference;
  if (!arguments.reference.empty()) {
    reference = models::open_model_folder(models::resolve_model_path(arguments.reference));
    run::check_same_ids(*reference, model, *text.tokenizer);
  }
  const std::vector<double> logp = log_probs_of(model, arguments, dataset, plan, "score");
  std::vector<double> ref_logp;
  if (reference) ref_logp = log_probs_of(*reference, arguments, dataset, plan, "reference");
  write_result(arguments.out, score_lines(dataset, logp, ref_logp));
}

}  // namespace

void add_score_command(CLI::App& app) {
  auto arguments = std::make_shared<ScoreArguments>();
  CLI::App* command =
      app.add_subcommand("score", "Log-probability of every completion of a data file, as JSON lines");
  command->add_option("--model", arguments->model, "Hugging Face model folder")->required();
  command->add_option("--reference", arguments->reference,
                      "Model folder to compare with; its tokenizer is not used");
  command
      ->add_option("--data", arguments->rows.files, "Preference rows (.jsonl, .json, .parquet, ...); globs")
      ->required();
  command->add_option("--out", arguments->out, "File to write (default: standard output)");
  command->add_option("--dtype", arguments->dtype, "auto, float32, bfloat16 or float64")
      ->capture_default_str();
  command
      ->add_option("--max-length", arguments->max_length,
                   "Tokens of prompt and completion; longer rows are refused")
      ->capture_default_str()
      ->check(CLI::Range(std::int64_t{2}, std::int64_t{1} << 24));
  command
      ->add_option("--micro-batch-tokens", arguments->micro_batch_tokens,
                   "Packed tokens a forward; memory against speed")
      ->capture_default_str()
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{1} << 24));
  add_row_options(command, arguments->rows);
  command->callback([arguments] { run_score(*arguments); });
}

}  // namespace ddro::cli
