#include "report/tables.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <string>

#include "report/run_values.h"

namespace ddro::report {
namespace {

constexpr const char* kNone = "–";

std::string shown(const std::optional<double>& value, const char* pattern, double factor = 1) {
  return value ? printable(factor * *value, pattern) : kNone;
}

std::string setting(const RunHistory& run, const std::string& key) {
  for (const auto& [name, value] : run.settings) {
    if (name == key) return printable(value, 400);
  }
  return kNone;
}

std::string text_or_none(const Json& value) {
  return value.is_string() ? printable(value.get<std::string>()) : kNone;
}

std::string state(const RunHistory& run) {
  const std::string steps = std::to_string(last_step(run));
  const Json total = identity_field(run, "total_steps");
  if (!field(run, "finished_step").is_null()) return "finished at step " + steps;
  return total.is_number_integer() ? "at step " + steps + " of " + std::to_string(total.get<std::int64_t>())
                                   : "at step " + steps;
}

std::string duration(const Json& seconds) {
  if (!seconds.is_number()) return kNone;
  const auto total = static_cast<long long>(std::clamp(seconds.get<double>(), 0.0, 1e12));
  if (total < 60) return std::to_string(total) + " s";
  if (total < 3600) return std::to_string(total / 60) + " min " + std::to_string(total % 60) + " s";
  return std::to_string(total / 3600) + " h " + std::to_string(total / 60 % 60) + " min";
}

struct SummaryRow {
  const char* metric;
  const char* name;
};

constexpr SummaryRow kSummaryRows[] = {
    {"loss", "loss"},
    {"rewards/accuracies", "accuracy"},
    {"ratio/auc", "AUC"},
    {"rewards/margins", "margin"},
    {"log_ratio/chosen", "log-ratio, preferred: mean"},
    {"log_ratio/chosen_p50", "log-ratio, preferred: median"},
    {"log_ratio/rejected", "log-ratio, unpreferred: mean"},
    {"log_ratio/rejected_p50", "log-ratio, unpreferred: median"},
    {"log_ratio/abs_max", "largest log-ratio"},
    {"ratio/saturated", "saturated share"},
    {"ratio/capped", "capped share"},
};

const MetricTable* table_of(const RunHistory& run, const std::string& set) {
  for (const auto& [name, table] : run.eval) {
    if (name == set) return &table;
  }
  return nullptr;
}

// First and last value of a metric on a set; null when there is none.
Json first_and_last(const RunHistory& run, const std::string& set, const std::string& metric) {
  const MetricTable* table = table_of(run, set);
  if (table == nullptr || !table->contains(metric)) return nullptr;
  const Series& series = table->at(metric);
  std::optional<size_t> first;
  size_t last = 0;
  for (size_t i = 0; i < series.values.size(); ++i) {
    if (!std::isfinite(series.values[i])) continue;
    if (!first) first = i;
    last = i;
  }
  if (!first) return nullptr;
  Json cell = {{"last", printable(series.values[last], "%.4g")}};
  if (*first != last) {
    cell["first"] = printable(series.values[*first], "%.4g");
    cell["change"] = printable(series.values[last] - series.values[*first], "%+.3g");
  }
  cell["steps"] = "step " + (*first != last ? std::to_string(series.steps[*first]) + " → " : "") +
                  std::to_string(series.steps[last]);
  return cell;
}

// What `name_of` gives for the elements of each run's list: every name once, in order of appearance.
template <typename List>
std::vector<std::string> all_names(const std::vector<RunHistory>& runs, List list) {
  std::vector<std::string> names;
  for (const RunHistory& run : runs) {
    for (const auto& entry : list(run)) {
      if (std::find(names.begin(), names.end(), entry.first) == names.end()) names.push_back(entry.first);
    }
  }
  return names;
}

}  // namespace

Json make_facts(const std::vector<RunHistory>& runs) {
  Json facts = Json::array();
  const auto add = [&](const char* name, auto value_of) {
    Json values = Json::array();
    for (const RunHistory& run : runs) values.push_back(value_of(run));
    const bool known = std::any_of(values.begin(), values.end(), [](const Json& v) { return v != kNone; });
    if (known) facts.push_back({{"name", name}, {"values", std::move(values)}});
  };
  add("state", state);
  add("model", [](const RunHistory& run) { return setting(run, "model.model_name_or_path"); });
  add("reference", [](const RunHistory& run) { return text_or_none(field(run, "reference")); });
  add("objective", [](const RunHistory& run) { return setting(run, "objective.loss_type"); });
  add("tokens", [](const RunHistory& run) { return shown(last_value(run, "num_tokens"), "%.0f"); });
  add("time of the last start", [](const RunHistory& run) { return duration(field(run, "train_runtime")); });
  add("tokens a second (median)",
      [](const RunHistory& run) { return shown(median(run, "tokens_per_second"), "%.0f"); });
  add("model FLOPs utilization (median)",
      [](const RunHistory& run) { return shown(median(run, "mfu"), "%.1f %%", 100); });
  add("peak memory",
      [](const RunHistory& run) { return shown(last_value(run, "peak_memory_bytes"), "%.2f GB", 1e-9); });
  add("device", [](const RunHistory& run) {
    const std::string device = text_or_none(identity_field(run, "device"));
    return device == kNone ? device : device + ", " + text_or_none(identity_field(run, "dtype"));
  });
  return facts;
}

Json make_summary(const std::vector<RunHistory>& runs) {
  Json summary = Json::array();
  for (const std::string& set : all_names(
           runs, [](const RunHistory& run) -> const auto& { return run.eval; })) {
    Json rows = Json::array();
    for (const SummaryRow& row : kSummaryRows) {
      Json cells = Json::array();
      for (const RunHistory& run : runs) cells.push_back(first_and_last(run, set, row.metric));
      if (std::all_of(cells.begin(), cells.end(), [](const Json& cell) { return cell.is_null(); })) continue;
      rows.push_back({{"name", row.name}, {"runs", std::move(cells)}});
    }
    if (!rows.empty()) summary.push_back({{"set", set}, {"rows", std::move(rows)}});
  }
  return summary;
}

Json make_settings(const std::vector<RunHistory>& runs) {
  Json settings = Json::array();
  for (const std::string& key : all_names(
           runs, [](const RunHistory& run) -> const auto& { return run.settings; })) {
    Json values = Json::array();
    for (const RunHistory& run : runs) {
      const auto found = std::find_if(run.settings.begin(), run.settings.end(),
                                      [&](const auto& entry) { return entry.first == key; });
      values.push_back(found == run.settings.end() ? Json(nullptr) : Json(printable(found->second, 400)));
    }
    const bool differs =
        std::any_of(values.begin(), values.end(), [&](const Json& value) { return value != values[0]; });
    if (runs.size() == 1 || differs) settings.push_back({{"name", key}, {"values", std::move(values)}});
  }
  return settings;
}

}  // namespace ddro::report
