#include "ddro/report/run_history.h"

#include <cmath>
#include <limits>
#include <string_view>

#include "ddro/base/files.h"
#include "report/json_lines.h"

namespace ddro::report {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kEvalPrefix = "eval_";
constexpr std::string_view kEvalLoss = "_loss";  // which every set has

bool is_there(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

MetricTable& table_of(RunHistory& run, const std::string& set) {
  for (auto& [name, table] : run.eval) {
    if (name == set) return table;
  }
  return run.eval.emplace_back(set, MetricTable{}).second;
}

void add_values(const Json& line, std::int64_t step, const std::string& prefix, MetricTable& table) {
  for (const auto& [key, value] : line.items()) {
    if (!key.starts_with(prefix) || key == "step" || !(value.is_number() || value.is_null())) continue;
    Series& series = table[key.substr(prefix.size())];
    series.steps.push_back(step);
    series.values.push_back(value.is_null() ? std::numeric_limits<double>::quiet_NaN() : value.get<double>());
  }
}

void add_metrics_line(const Json& line, const std::string& where, RunHistory& run) {
  const std::int64_t step = step_of(line, where);
  const Json kind = line.value("kind", Json());
  if (kind == "train") add_values(line, step, "", run.train);
  if (kind != "eval") return;
  for (const auto& [key, value] : line.items()) {
    if (!key.starts_with(kEvalPrefix) || !key.ends_with(kEvalLoss) ||
        key.size() <= kEvalPrefix.size() + kEvalLoss.size()) {
      continue;
    }
    const std::string prefix = key.substr(0, key.size() - kEvalLoss.size() + 1);
    const std::string set = prefix.substr(kEvalPrefix.size(), prefix.size() - kEvalPrefix.size() - 1);
    add_values(line, step, prefix, table_of(run, set));
  }
}

// A prompt is a text or a list of messages.
std::string text_of(const Json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (!value.is_array()) return value.dump();
  std::string text;
  for (const Json& message : value) {
    const bool is_message = message.is_object() && message.contains("role") && message.contains("content");
    text += text.empty() ? "" : "\n";
    text += is_message ? text_of(message["role"]) + ": " + text_of(message["content"]) : message.dump();
  }
  return text;
}

Sample sample_of(const Json& line, const std::string& where) {
  if (!line.contains("prompt") || !line.contains("completion")) {
    throw input_error("[" + where + "] is not a sample; expected step, prompt and completion");
  }
  return {step_of(line, where), text_of(line["prompt"]), text_of(line["completion"])};
}

std::int64_t num_not_finite(const Series& series) {
  std::int64_t count = 0;
  for (const double value : series.values) count += std::isfinite(value) ? 0 : 1;
  return count;
}

std::string counted(std::int64_t count, const std::string& what) {
  return std::to_string(count) + " " + what + (count == 1 ? "" : "s");
}

void add_metric_remarks(RunHistory& run) {
  const auto skipped = run.train.find("skipped_steps");
  if (skipped != run.train.end() && skipped->second.values.back() > 0) {
    const auto count = static_cast<std::int64_t>(skipped->second.values.back());
    run.remarks.push_back(counted(count, "step") + " skipped: loss or gradient was not finite, or a spike");
  }
  const auto loss = run.train.find("loss");
  if (loss == run.train.end()) {
    run.remarks.push_back("no training step is logged yet");
  } else if (const std::int64_t count = num_not_finite(loss->second); count > 0) {
    run.remarks.push_back(counted(count, "logged step") + " without a finite loss, drawn as gaps");
  }
  if (run.record.is_object() && run.record.value("finished_step", Json()).is_null())
    run.remarks.push_back("the run has not finished");
}

}  // namespace

std::string name_of(const fs::path& folder) {
  const fs::path path = fs::absolute(folder).lexically_normal();
  return printable((path.has_filename() ? path : path.parent_path()).filename().string());
}

RunHistory read_run(const fs::path& folder) {
  const std::string where = "[" + printable(folder.string(), 400) + "] ";
  if (!is_there(folder)) throw input_error(where + "there is no such folder");
  if (!is_there(folder / "metrics.jsonl")) {
    throw input_error(where +
                      "is not a run's folder: it holds no metrics.jsonl; expected a train.output_dir");
  }
  RunHistory run;
  run.name = name_of(folder);
  const bool whole = read_json_lines(folder / "metrics.jsonl", [&](const Json& line, const std::string& at) {
    add_metrics_line(line, at, run);
  });
  if (!whole) run.remarks.push_back("the last line of metrics.jsonl is incomplete and left out");
  if (is_there(folder / "config.yaml")) {
    const fs::path path = folder / "config.yaml";
    run.settings = config::read_flat_settings(read_file(path), printable(path.string(), 400));
  }
  if (is_there(folder / "run.json"))
    run.record = read_json_file((folder / "run.json").string(), ErrorKind::kInput);
  if (is_there(folder / "samples.jsonl")) {
    read_json_lines(folder / "samples.jsonl", [&](const Json& line, const std::string& at) {
      run.samples.push_back(sample_of(line, at));
    });
  }
  if (is_there(folder / "dropped.jsonl")) {
    std::int64_t dropped = 0;
    read_json_lines(folder / "dropped.jsonl", [&](const Json&, const std::string&) { ++dropped; });
    if (dropped > 0) run.remarks.push_back(counted(dropped, "data row") + " not used, see dropped.jsonl");
  }
  add_metric_remarks(run);
  return run;
}

std::vector<RunHistory> read_runs(const std::vector<fs::path>& folders) {
  std::vector<RunHistory> runs;
  std::map<std::string, int> uses;
  for (const fs::path& folder : folders) ++uses[runs.emplace_back(read_run(folder)).name];
  for (size_t i = 0; i < runs.size(); ++i) {
    if (uses[runs[i].name] > 1) runs[i].name = printable(folders[i].string(), 400);
  }
  return runs;
}

}  // namespace ddro::report
