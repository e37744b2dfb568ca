#include "report/panels.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "report/downsample.h"

namespace ddro::report {
namespace {

constexpr size_t kMaxPoints = 800;  // of a line; a chart is some hundred pixels wide

enum class Source { kBoth, kTrain, kEval };

struct Quantity {
  std::string metric;
  std::string label;      // empty where a chart has one quantity
  bool has_band = false;  // between the metrics <metric>_p10 and <metric>_p90
};

struct PanelSpec {
  std::string title;
  std::string text;
  std::string unit;
  std::string scale;
  std::vector<Quantity> quantities;
  Source source = Source::kBoth;
  bool zero = false;
  Json mark = nullptr;
  double factor = 1;  // of the metric, to be in `unit`
};

const std::vector<Quantity> kClasses = {{"log_ratio/chosen", "preferred", true},
                                        {"log_ratio/rejected", "unpreferred", true}};
const char* const kClassText =
    "log(policy / reference) of a completion: the mean, and the range from the 10th to the 90th percentile. "
    "0: as likely as under the reference.";

const std::vector<PanelSpec>& panel_specs() {
  static const std::vector<PanelSpec> specs = {
      {.title = "Loss",
       .text = "The objective. Comparable only between runs with the same objective and data.",
       .unit = "",
       .scale = "linear",
       .quantities = {{"loss", ""}}},
      {.title = "Accuracy",
       .text = "Share of pairs whose preferred completion has the larger log-ratio.",
       .unit = "share",
       .scale = "share",
       .quantities = {{"rewards/accuracies", ""}},
       .mark = 0.5},
      {.title = "AUC",
       .text = "Chance that a preferred completion has a larger log-ratio than an unpreferred one; 0.5 tells "
               "nothing apart.",
       .unit = "share",
       .scale = "share",
       .quantities = {{"ratio/auc", ""}},
       .mark = 0.5},
      {.title = "Margin",
       .text =
           "Mean reward of preferred minus unpreferred completions; the reward is beta times the log-ratio.",
       .unit = "nats",
       .scale = "linear",
       .quantities = {{"rewards/margins", ""}},
       .zero = true},
      {.title = "Log-ratio by class, evaluation",
       .text = kClassText,
       .unit = "nats",
       .scale = "linear",
       .quantities = kClasses,
       .source = Source::kEval,
       .zero = true},
      {.title = "Log-ratio by class, training",
       .text = kClassText,
       .unit = "nats",
       .scale = "linear",
       .quantities = kClasses,
       .source = Source::kTrain,
       .zero = true},
      {.title = "Largest log-ratio",
       .text = "Largest absolute log-ratio of any completion: how far the policy has left the reference.",
       .unit = "nats",
       .scale = "linear",
       .quantities = {{"log_ratio/abs_max", ""}},
       .zero = true},
      {.title = "Saturated and capped",
       .text = "Share of unpreferred completions past the pole of the ratio (saturated), and past the cap on "
               "their "
               "weight.",
       .unit = "share",
       .scale = "linear",
       .quantities = {{"ratio/saturated", "saturated"}, {"ratio/capped", "capped"}},
       .zero = true},
      {.title = "Gradient norm",
       .text = "Of the whole gradient, before clipping.",
       .unit = "",
       .scale = "log",
       .quantities = {{"grad_norm", ""}}},
      {.title = "Learning rate",
       .text = "Of each step.",
       .unit = "",
       .scale = "linear",
       .quantities = {{"learning_rate", ""}},
       .zero = true},
      {.title = "Throughput",
       .text = "Tokens of all sequences of a step a second.",
       .unit = "tokens/s",
       .scale = "linear",
       .quantities = {{"tokens_per_second", ""}},
       .zero = true},
      {.title = "Model FLOPs utilization",
       .text = "Useful operations over what a large matrix product reaches on the same device in that time.",
       .unit = "share",
       .scale = "linear",
       .quantities = {{"mfu", ""}},
       .zero = true},
      {.title = "Peak memory",
       .text = "Largest memory so far: of the process, or allocated on the GPU.",
       .unit = "GB",
       .scale = "linear",
       .quantities = {{"peak_memory_bytes", ""}},
       .zero = true,
       .factor = 1e-9},
  };
  return specs;
}

Json picked(const Series& series, const std::vector<size_t>& kept, double factor) {
  Json values = Json::array();
  for (const size_t i : kept) values.push_back(factor * series.values[i]);  // NaN is written as null
  return values;
}

const Series* find(const MetricTable& table, const std::string& metric) {
  const auto found = table.find(metric);
  return found == table.end() ? nullptr : &found->second;
}

void add_line(const PanelSpec& spec, const Quantity& quantity, size_t run, const Json& set,
              const MetricTable& table, Json& lines) {
  const Series* series = find(table, quantity.metric);
  if (series == nullptr) return;
  if (std::all_of(series->values.begin(), series->values.end(), [](double v) { return std::isnan(v); }))
    return;
  const std::vector<size_t> kept = points_to_keep(series->values, kMaxPoints);
  Json steps = Json::array();
  for (const size_t i : kept) steps.push_back(series->steps[i]);
  Json line = {{"run", run},
               {"set", set},
               {"what", quantity.label.empty() ? Json(nullptr) : Json(quantity.label)},
               {"steps", std::move(steps)},
               {"values", picked(*series, kept, spec.factor)}};
  if (quantity.has_band) {
    const Series* low = find(table, quantity.metric + "_p10");
    const Series* high = find(table, quantity.metric + "_p90");
    if (low != nullptr && high != nullptr && low->steps == series->steps && high->steps == series->steps) {
      line["low"] = picked(*low, kept, spec.factor);
      line["high"] = picked(*high, kept, spec.factor);
    }
  }
  lines.push_back(std::move(line));
}

Json lines_of(const PanelSpec& spec, const Quantity& quantity, const std::vector<RunHistory>& runs) {
  Json lines = Json::array();
  for (size_t run = 0; run < runs.size(); ++run) {
    if (spec.source != Source::kEval) add_line(spec, quantity, run, nullptr, runs[run].train, lines);
    if (spec.source == Source::kTrain) continue;
    for (const auto& [set, table] : runs[run].eval) add_line(spec, quantity, run, set, table, lines);
  }
  return lines;
}

Json panel(const PanelSpec& spec, const std::string& title, Json lines) {
  return {{"title", title},    {"text", spec.text}, {"unit", spec.unit},   {"scale", spec.scale},
          {"zero", spec.zero}, {"mark", spec.mark}, {"group", spec.title}, {"lines", std::move(lines)}};
}

}  // namespace

Json make_panels(const std::vector<RunHistory>& runs) {
  Json panels = Json::array();
  for (const PanelSpec& spec : panel_specs()) {
    const bool apart = runs.size() > 1 && spec.quantities.size() > 1;
    Json together = Json::array();
    for (const Quantity& quantity : spec.quantities) {
      Json lines = lines_of(spec, quantity, runs);
      if (!apart) {
        together.insert(together.end(), lines.begin(), lines.end());
      } else if (!lines.empty()) {
        panels.push_back(panel(spec, spec.title + ": " + quantity.label, std::move(lines)));
      }
    }
    if (!together.empty()) panels.push_back(panel(spec, spec.title, std::move(together)));
  }
  return panels;
}

}  // namespace ddro::report
