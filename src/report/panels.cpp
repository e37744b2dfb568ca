#include "report/panels.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "report/downsample.h"
#include "report/panel_specs.h"

namespace ddro::report {
namespace {

constexpr size_t kMaxPoints = 800;  // of a line; a chart is some hundred pixels wide

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
