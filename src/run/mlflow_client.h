// A run on an MLflow tracking server, over its REST interface (version 2.0).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "ddro/base/json.h"
#include "run/http_client.h"

namespace ddro::run {

// MLflow's own variables of the environment.
struct MlflowSettings {
  std::string tracking_uri;            // MLFLOW_TRACKING_URI, without a slash at its end
  std::string experiment = "Default";  // MLFLOW_EXPERIMENT_NAME
  HttpLogin login;                     // MLFLOW_TRACKING_USERNAME and _PASSWORD, or MLFLOW_TRACKING_TOKEN
};

// Error(kInput) without a URI, or for one that is not http(s)://HOST... or holds a password.
MlflowSettings mlflow_settings();

struct MlflowMetric {
  std::string key;
  double value = 0;
  std::int64_t time_ms = 0;  // since 1970
  std::int64_t step = 0;
};

// The last step of each kind of line that a server has got; -1: of none.
struct MlflowSteps {
  std::int64_t train = -1;
  std::int64_t eval = -1;

  std::int64_t of(const std::string& kind) const { return kind == "eval" ? eval : train; }
};

struct MlflowRun {
  MlflowSteps last_steps;
  bool has_params = false;
};

// The longest list that a server takes at once.
inline constexpr size_t kMaxMlflowMetrics = 1000;

// What a server refuses, or no answer, is std::runtime_error.
class MlflowClient {
 public:
  MlflowClient(MlflowSettings settings, std::function<bool()> gives_up);

  const MlflowSettings& settings() const { return settings_; }
  // The new run's id, in the experiment of that name, which is made if there is none.
  std::string create_run(const std::string& name, std::int64_t time_ms);
  MlflowRun get_run(const std::string& run_id);
  // `params`: name -> text, as long as MLflow takes.
  void log_params(const std::string& run_id, const Json& params);
  void log_metrics(const std::string& run_id, const std::vector<MlflowMetric>& metrics);
  void set_status(const std::string& run_id, const std::string& status, std::optional<std::int64_t> end_ms);

 private:
  std::string experiment_id();
  Json post(const std::string& path, const Json& body);

  MlflowSettings settings_;
  HttpClient http_;
};

}  // namespace ddro::run
