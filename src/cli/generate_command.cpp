#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "cli/commands.h"
#include "cli/output.h"
#include "cli/row_options.h"
#include "ddro/base/log.h"
#include "ddro/base/progress.h"
#include "ddro/data/prompts.h"
#include "ddro/generate/generate.h"
#include "ddro/run/completion_json.h"
#include "ddro/run/setup.h"

namespace ddro::cli {
namespace {

struct GenerateArguments {
  std::string model;
  RowArguments rows;
  std::string out;
  std::string dtype = "float32";
  generate::GenerateOptions options;
};

// Completions in the order of prompts and samples, whatever the order they come in.
class OrderedLines {
 public:
  OrderedLines(const std::vector<data::Prompt>& prompts, const GenerateArguments& arguments)
      : prompts_(prompts),
        arguments_(arguments),
        progress_("generate", static_cast<std::int64_t>(prompts.size()) * arguments.options.num_samples),
        begin_(std::chrono::steady_clock::now()) {}

  void add(const generate::Completion& completion) {
    num_tokens_ += static_cast<std::int64_t>(completion.ids.size());
    num_unfinished_ += !completion.finished;
    const std::int64_t place =
        static_cast<std::int64_t>(completion.prompt) * arguments_.options.num_samples + completion.sample;
    waiting_[place] = run::completion_json(prompts_[completion.prompt], completion).dump();
    for (auto first = waiting_.begin(); first != waiting_.end() && first->first == num_written_;
         first = waiting_.erase(first), ++num_written_) {
      write(first->second);
    }
    progress_.update(++num_done_, static_cast<double>(num_tokens_) / seconds());
  }

  void finish() {
    if (!arguments_.out.empty()) write_result(arguments_.out, lines_);
    progress_.clear();
    const double elapsed = seconds();
    log_info("generated " + std::to_string(num_tokens_) + " tokens in " + printable(elapsed, "%.4g") +
             " s, " + std::to_string(num_done_) + " completions, " + std::to_string(num_unfinished_) +
             " not finished");
  }

 private:
  double seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count();
  }

  // A file is written whole at the end; standard output as far as it is known.
  void write(const std::string& line) {
    if (!arguments_.out.empty()) {
      lines_ += line + "\n";
      return;
    }
    progress_.clear();
    print_line(line);
    flush_output();
  }

  const std::vector<data::Prompt>& prompts_;
  const GenerateArguments& arguments_;
  Progress progress_;
  std::chrono::steady_clock::time_point begin_;
  std::map<std::int64_t, std::string> waiting_;  // by place in the output
  std::string lines_;
  std::int64_t num_written_ = 0;
  std::int64_t num_done_ = 0;
  std::int64_t num_tokens_ = 0;
  std::int64_t num_unfinished_ = 0;
};

std::vector<data::Prompt> read_prompts(const std::vector<std::string>& files,
                                       const data::DataOptions& options, const text::ModelText& text,
                                       const models::ModelSpec& spec) {
  const std::time_t now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  std::vector<data::Prompt> prompts =
      data::load_prompts(files, options, data::make_text_source(text, options, now));
  run::check_fits_model(prompts, spec);
  return prompts;
}

void run_generate(const GenerateArguments& arguments) {
  const models::ComputeDType dtype = parse_enum<models::ComputeDType>("--dtype", arguments.dtype);
  arguments.options.validate();
  const data::DataOptions options = data_options(arguments.rows);
  check_out(arguments.out);
  const auto path = models::resolve_model_path(arguments.model);
  const text::ModelText text = run::load_text(path, options.chat_template);
  const models::ModelFolder folder = models::open_model_folder(path);
  const std::vector<data::Prompt> prompts = read_prompts(arguments.rows.files, options, text, folder.spec);

  const at::Device device = run::default_device();
  const auto model = run::build_model(folder, device, run::compute_dtype(dtype, device));
  std::vector<generate::TokenIds> ids;
  for (const data::Prompt& prompt : prompts) ids.push_back(prompt.ids);
  OrderedLines lines(prompts, arguments);
  generate::generate(*model, *text.tokenizer, text.end_ids, ids, arguments.options,
                     [&](const generate::Completion& completion) { lines.add(completion); });
  lines.finish();
}

void add_sampling_options(CLI::App* command, generate::GenerateOptions& options) {
  command->add_option("--max-new-tokens", options.max_new_tokens, "Most tokens of a completion")
      ->capture_default_str();
  command
      ->add_option("--temperature", options.sampling.temperature,
                   "Logits are divided by it; 0: the most probable token each time")
      ->capture_default_str();
  command
      ->add_option("--top-p", options.sampling.top_p, "Sample from the most probable tokens up to this share")
      ->capture_default_str();
  command
      ->add_option("--top-k", options.sampling.top_k, "Sample from so many most probable tokens; 0: from all")
      ->capture_default_str();
  command
      ->add_option("--stop", options.stop,
                   "Text that ends a completion and is cut off; may be given several times")
      ->take_all()
      ->allow_extra_args(false);
  command->add_option("--num-samples", options.num_samples, "Completions of each prompt")
      ->capture_default_str();
  command->add_option("--seed", options.seed, "Equal seeds give equal samples")->capture_default_str();
  command
      ->add_option("--batch-size", options.batch_size,
                   "Sequences that go on side by side; memory against speed")
      ->capture_default_str();
}

}  // namespace

void add_generate_command(CLI::App& app) {
  auto arguments = std::make_shared<GenerateArguments>();
  CLI::App* command = app.add_subcommand("generate", "Samples completions of prompts, as JSON lines");
  command->add_option("--model", arguments->model, "Hugging Face model folder")->required();
  command
      ->add_option(
          "--prompts", arguments->rows.files,
          "Rows with \"prompt\", a string or a list of messages (.jsonl, .json, .parquet, ...); globs")
      ->required();
  command->add_option("--out", arguments->out, "File to write (default: standard output)");
  add_sampling_options(command, arguments->options);
  command->add_option("--dtype", arguments->dtype, "auto, float32, bfloat16 or float64")
      ->capture_default_str();
  add_row_options(command, arguments->rows);
  command->callback([arguments] { run_generate(*arguments); });
}

}  // namespace ddro::cli
