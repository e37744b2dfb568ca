#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cli/commands.h"
#include "cli/on_policy.h"
#include "cli/output.h"
#include "cli/row_options.h"
#include "cli/token_display.h"
#include "ddro/models/model_path.h"
#include "ddro/run/setup.h"
#include "ddro/run/summaries.h"

namespace ddro::cli {
namespace {

struct InspectDataOptions {
  RowArguments rows_read;
  std::string model;
  std::int64_t max_length = 1024;
  std::int64_t rows = 3;
  bool on_policy = false;
  std::optional<double> alpha;  // of on_policy
};

void print_class(const data::Dataset& dataset, data::CompletionClass completion_class,
                 const std::vector<text::TokenId>& end_ids) {
  std::vector<std::int64_t> prompts;
  std::vector<std::int64_t> completions;
  std::vector<std::int64_t> lengths;
  std::int64_t ended = 0;
  for (const data::EncodedExample& example : dataset.examples) {
    for (const data::EncodedSequence& sequence : example.sequences) {
      if (sequence.completion_class != completion_class) continue;
      prompts.push_back(sequence.completion_start);
      completions.push_back(sequence.num_completion_tokens());
      lengths.push_back(static_cast<std::int64_t>(sequence.ids.size()));
      ended += std::find(end_ids.begin(), end_ids.end(), sequence.ids.back()) != end_ids.end();
    }
  }
  const auto count = static_cast<double>(lengths.size());
  print_line(
      std::string(completion_class == data::CompletionClass::kChosen ? "preferred   " : "unpreferred ") +
      printable(count, "%g") + " completions, weight " +
      printable(dataset.class_weight(completion_class), "%g") +
      (lengths.empty()
           ? ""
           : ", " + printable(100 * static_cast<double>(ended) / count, "%.1f") + " % with an end token"));
  print_line("  prompt tokens      " + run::percentiles(prompts));
  print_line("  completion tokens  " + run::percentiles(completions));
  print_line("  sequence tokens    " + run::percentiles(lengths));
}

void print_report(const data::Dataset& dataset, const text::ModelText& text) {
  print_line("rows        " + std::to_string(dataset.report.num_rows) + " read, " +
             std::to_string(dataset.examples.size()) + " used, " + std::to_string(dataset.dropped.size()) +
             " dropped; " + run::kind_label(dataset.kind) + ", " + std::to_string(dataset.num_tokens()) +
             " tokens");
  print_line("alpha       " + printable(run::data_alpha(dataset), "%.6g") + " (objective.alpha: auto)");
  for (const auto completion_class : {data::CompletionClass::kChosen, data::CompletionClass::kRejected}) {
    print_class(dataset, completion_class, text.end_ids);
  }
  for (const std::string& remark : run::data_remarks(dataset.report)) print_line("note        " + remark);
  if (dataset.dropped.empty()) return;
  print_line(
      "dropped     listed here; in a run such a row is an error unless data.on_bad_row and "
      "data.on_overlength say "
      "otherwise");
  for (const data::DroppedRow& row : dataset.dropped) {
    print_line("  " + printable(row.where, 400) + ": " + printable(row.reason, 1000));
  }
}

void print_example(const data::Dataset& dataset, size_t index, const text::Tokenizer& tokenizer,
                   bool colours) {
  const data::EncodedExample& example = dataset.examples[index];
  print_line("\nrow " + std::to_string(example.row) + "  " + printable(dataset.wheres[index], 400) +
             (example.weight == 1 ? "" : "  weight " + printable(example.weight, "%g")));
  for (const data::EncodedSequence& sequence : example.sequences) {
    print_line(std::string(sequence.completion_class == data::CompletionClass::kChosen ? "preferred"
                                                                                       : "unpreferred") +
               ", " + std::to_string(sequence.completion_start) + " prompt and " +
               std::to_string(sequence.num_completion_tokens()) + " completion tokens");
    print_line("  " + display_tokens(tokenizer, sequence, colours));
    print_line("  " + display_ids(sequence));
  }
}

void run_inspect_data(const InspectDataOptions& arguments) {
  data::DataOptions options = data_options(arguments.rows_read);
  options.max_length = arguments.max_length;
  options.on_overlength = data::OnOverlength::kDrop;
  options.on_bad_row = data::OnBadRow::kDrop;
  options.unlabelled_is_preferred = true;
  const std::filesystem::path path = models::resolve_model_path(arguments.model);
  const text::ModelText text = run::load_text(path, options.chat_template);
  const std::time_t now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  const data::Dataset dataset = data::load_dataset(arguments.rows_read.files, options, text, now);
  print_report(dataset, text);
  if (arguments.on_policy) print_on_policy(models::open_model_folder(path), dataset, arguments.alpha);
  const bool colours = output_takes_colours();
  const size_t shown = std::min(static_cast<size_t>(arguments.rows), dataset.examples.size());
  for (size_t i = 0; i < shown; ++i) print_example(dataset, i, *text.tokenizer, colours);
}

}  // namespace

void add_inspect_data_command(CLI::App& inspect) {
  CLI::App* command = inspect.add_subcommand("data", "Show what the rows of data files become");
  auto options = std::make_shared<InspectDataOptions>();
  command
      ->add_option("FILE", options->rows_read.files, "Preference rows (.jsonl, .json, .parquet, ...); globs")
      ->required();
  command->add_option("--model", options->model, "a Hugging Face folder, or org/name in its local cache")
      ->required()
      ->type_name("DIR");
  command
      ->add_option("--max-length", options->max_length,
                   "tokens of prompt and completion; longer rows are dropped")
      ->capture_default_str()
      ->check(CLI::Range(std::int64_t{2}, std::int64_t{1} << 24));
  command->add_option("--rows", options->rows, "rows to show token by token")
      ->capture_default_str()
      ->check(CLI::Range(std::int64_t{0}, std::int64_t{1} << 40));
  CLI::Option* on_policy = command->add_flag(
      "--on-policy", options->on_policy, "score the rows and say whether the model may have written them");
  command
      ->add_option("--alpha", options->alpha,
                   "share of preferred completions among the model's samples (default: that of the rows)")
      ->needs(on_policy)
      ->check(CLI::Range(0.0, 1.0));
  add_row_options(command, options->rows_read);
  command->callback([options] { run_inspect_data(*options); });
}

}  // namespace ddro::cli
