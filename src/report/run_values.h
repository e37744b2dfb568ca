// Single values of a run's history.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "ddro/report/run_history.h"

namespace ddro::report {

// Of a series that is perhaps not there, the values that are finite.
std::vector<double> finite_values(const MetricTable& table, const std::string& metric);

// Of a training metric.
std::optional<double> last_value(const RunHistory& run, const std::string& metric);
std::optional<double> median(const RunHistory& run, const std::string& metric);
// The lower one of two; nothing of no values.
std::optional<double> median(std::vector<double> values);

// A member of run.json, or of what it says the run is; types are not trusted. Null when it is not there.
Json field(const RunHistory& run, const std::string& name);
Json identity_field(const RunHistory& run, const std::string& name);

// That anything was logged of; 0 when nothing was.
std::int64_t last_step(const RunHistory& run);

}  // namespace ddro::report
