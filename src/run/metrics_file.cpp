#include "run/metrics_file.h"

#include <cmath>

namespace ddro::run {

Json metrics_json(const losses::Metrics& metrics) {
  Json object = Json::object();
  for (const auto& [name, value] : metrics) {
    if (!std::isfinite(value)) {
      object[name] = nullptr;
    } else if (value == std::floor(value) && std::fabs(value) < 1e15) {
      object[name] = static_cast<std::int64_t>(value);
    } else {
      object[name] = value;
    }
  }
  return object;
}

Json logged_line(const std::string& kind, std::int64_t step, const losses::Metrics& metrics) {
  Json line = {{"kind", kind}, {"step", step}};
  line.update(metrics_json(metrics));
  return line;
}

MetricsFile::MetricsFile(const std::filesystem::path& path, std::int64_t last_step)
    : lines_(path, last_step, [this](const Json& line) {
        if (line.value("kind", "") == "eval") last_evaluation_ = line;
      }) {}

void MetricsFile::write(const std::string& kind, std::int64_t step, const losses::Metrics& metrics) {
  Json line = logged_line(kind, step, metrics);
  lines_.append(line.dump() + "\n");
  if (kind == "eval") last_evaluation_ = std::move(line);
}

}  // namespace ddro::run
