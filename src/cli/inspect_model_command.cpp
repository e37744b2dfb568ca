#include <algorithm>
#include <memory>
#include <string>

#include "cli/commands.h"
#include "cli/output.h"
#include "ddro/base/json.h"
#include "ddro/base/progress.h"
#include "ddro/models/model_folder.h"
#include "ddro/run/setup.h"
#include "ddro/run/summaries.h"
#include "ddro/text/model_text.h"
#include "ddro/train/memory_estimate.h"

namespace ddro::cli {
namespace {

constexpr size_t kShownControlTokens = 32;

// Each shape as text, so that the columns can be as wide as they have to be.
struct TableRow {
  std::string name;
  std::string shape;
  std::string dtype;
};

void print_tensors(const NamedTensors& tensors) {
  std::vector<TableRow> rows;
  size_t name_width = 0;
  size_t shape_width = 0;
  double bytes = 0;
  std::int64_t count = 0;
  for (const auto& [name, tensor] : tensors) {
    std::string shape;
    for (const std::int64_t size : tensor.sizes())
      shape += (shape.empty() ? "" : " x ") + std::to_string(size);
    bytes += static_cast<double>(tensor.nbytes());
    count += tensor.numel();
    name_width = std::max(name_width, name.size());
    shape_width = std::max(shape_width, shape.size());
    rows.push_back({name, shape, dtype_label(tensor.scalar_type())});
  }
  for (TableRow& row : rows) {
    row.name.resize(name_width, ' ');
    row.shape.resize(shape_width, ' ');
    print_line("  " + row.name + "  " + row.shape + "  " + row.dtype);
  }
  print_line("total       " + std::to_string(count) + " parameters in " + std::to_string(rows.size()) +
             " tensors, " + gigabytes(bytes));
}

std::string named_token(const text::Tokenizer& tokenizer, text::TokenId id) {
  return std::to_string(id) + " \"" + printable(tokenizer.token_of(id)) + "\"";
}

void print_text(const text::ModelText& text) {
  const text::Tokenizer& tokenizer = *text.tokenizer;
  print_line("tokenizer   " + text.tokenizer_kind + ", " + std::to_string(tokenizer.id_limit()) +
             " ids, hash " + text.tokenizer_hash);
  std::string ends;
  for (const text::TokenId id : text.end_ids) ends += (ends.empty() ? "" : ", ") + named_token(tokenizer, id);
  print_line("end tokens  " + ends);
  std::vector<text::TokenId> control;
  for (text::TokenId id = 0; id < tokenizer.id_limit(); ++id) {
    if (tokenizer.is_control(id)) control.push_back(id);
  }
  std::string names;
  for (size_t i = 0; i < std::min(control.size(), kShownControlTokens); ++i) {
    names += (i == 0 ? ": " : ", ") + named_token(tokenizer, control[i]);
  }
  if (control.size() > kShownControlTokens) names += ", ...";
  print_line("control     " + std::to_string(control.size()) + " tokens" + names);
  print_line("template    " +
             (text.chat_template == nullptr
                  ? "none; rows have to be strings"
                  : std::to_string(text.chat_template->source().size()) + " bytes, hash " +
                        text.template_hash + (text.chat_template->uses_date() ? ", shows the date" : "")));
}

void print_memory(const models::ModelFolder& folder) {
  train::MemoryModel model;
  model.num_parameters = run::num_parameters(folder);
  if (folder.adapter) model.adapter = folder.adapter->spec;
  const std::int64_t trained = folder.adapter ? models::num_parameters(*model.adapter) : model.num_parameters;
  print_line("checkpoint  " + gigabytes(train::checkpoint_bytes(trained, at::kFloat, model.moment_dtype)) +
             " on disk");
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    model.dtype = dtype;
    model.live_reference = false;
    const double alone = train::weight_bytes(model);
    model.live_reference = !folder.adapter;
    print_line("training    " + gigabytes(alone) + " in " + dtype_label(dtype) + ", " +
               gigabytes(train::weight_bytes(model)) + " with a reference; activations on top");
  }
}

// Everything is read and checked before the first line is printed.
void run_inspect_model(const std::string& name) {
  const std::filesystem::path path = models::resolve_model_path(name);
  const models::ModelFolder folder = models::open_model_folder(path);
  const text::ModelText text = run::load_text(path);
  print_line("model       " + printable(path.string(), 400));
  print_line("kind        " + models::summary(folder.spec));
  print_line("weights     hash " + folder.weights_hash);
  print_tensors(folder.tensors);
  if (folder.adapter) {
    print_line("adapter     " + models::summary(folder.adapter->spec) + ", on the base in " +
               printable(folder.path.string(), 400));
    print_tensors(folder.adapter->tensors);
  }
  print_text(text);
  print_memory(folder);
}

}  // namespace

void add_inspect_model_command(CLI::App& inspect) {
  CLI::App* command =
      inspect.add_subcommand("model", "Check a model folder and show its parameters and tokenizer");
  auto path = std::make_shared<std::string>();
  command->add_option("DIR", *path, "a Hugging Face folder, org/name in its local cache, or a .gguf file")
      ->required();
  command->callback([path] { run_inspect_model(*path); });
}

}  // namespace ddro::cli
