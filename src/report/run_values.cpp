#include "report/run_values.h"

#include <algorithm>
#include <cmath>

namespace ddro::report {

std::vector<double> finite_values(const MetricTable& table, const std::string& metric) {
  std::vector<double> values;
  const auto found = table.find(metric);
  if (found == table.end()) return values;
  for (const double value : found->second.values) {
    if (std::isfinite(value)) values.push_back(value);
  }
  return values;
}

std::optional<double> last_value(const RunHistory& run, const std::string& metric) {
  const std::vector<double> values = finite_values(run.train, metric);
  return values.empty() ? std::nullopt : std::optional(values.back());
}

std::optional<double> median(const RunHistory& run, const std::string& metric) {
  return median(finite_values(run.train, metric));
}

std::optional<double> median(std::vector<double> values) {
  if (values.empty()) return std::nullopt;
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>((values.size() - 1) / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

Json field(const RunHistory& run, const std::string& name) {
  return run.record.is_object() ? run.record.value(name, Json()) : Json();
}

Json identity_field(const RunHistory& run, const std::string& name) {
  const Json identity = field(run, "run");
  return identity.is_object() ? identity.value(name, Json()) : Json();
}

std::int64_t last_step(const RunHistory& run) {
  std::int64_t last = 0;
  const auto see = [&](const MetricTable& table) {
    for (const auto& [metric, series] : table) last = std::max(last, series.steps.back());
  };
  see(run.train);
  for (const auto& [set, table] : run.eval) see(table);
  return last;
}

}  // namespace ddro::report
