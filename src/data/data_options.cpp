#include "ddro/data/data_options.h"

#include <algorithm>

#include "data/layouts.h"
#include "data/template_kwargs.h"
#include "ddro/base/error.h"

namespace ddro::data {
namespace {

constexpr double kMaxShare = 1000;

// A set's name becomes part of metric names (eval_<set>_loss).
bool is_set_name(const std::string& name) {
  return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
  });
}

}  // namespace

void DataOptions::validate() const {
  if (train_files.empty())
    throw input_error("[data.train_files] no files; expected at least one path or glob");
  for (const auto& [pattern, weight] : train_files) {
    if (pattern.empty()) throw input_error("[data.train_files] an empty path; expected a path or glob");
    if (!(weight > 0 && weight <= kMaxShare)) {
      throw option_error(
          "data.train_files", "the weight " + printable(weight) + " of " + printable(pattern),
          "a number above 0, at most " + printable(kMaxShare) + "; leave a file out to draw none of it");
    }
  }
  for (const auto& [name, file] : eval_files) {
    if (!is_set_name(name)) {
      throw input_error("[data.eval_files] not the name of a set; got \"" + printable(name) +
                        "\", expected letters, digits, _ and -");
    }
    if (file.empty())
      throw input_error("[data.eval_files." + name + "] an empty path; expected a path or glob");
  }
  for (const auto& [ours, theirs] : columns) {
    if (!is_row_field(ours)) {
      throw input_error("[data.columns] no field of a row; got \"" + printable(ours) +
                        "\", expected one of " + row_field_names());
    }
    if (theirs.empty()) throw option_error("data.columns." + ours, "an empty text", "the name of a field");
  }
  if (max_length < 2) {
    throw input_error("[data.max_length] too small; got " + std::to_string(max_length) +
                      ", expected at least 2: a token of the prompt and one of the completion");
  }
  if (const auto problem = problem_of_kwargs(chat_template_kwargs))
    throw input_error("[data.chat_template_kwargs] " + *problem);
  if (chat_template && chat_template->empty()) {
    throw input_error(
        "[data.chat_template] an empty path; expected a file, or null for the model folder's own");
  }
  if (token_cache_dir && token_cache_dir->empty())
    throw option_error("data.token_cache_dir", "an empty text", "a folder, or null");
}

}  // namespace ddro::data
