// What of mlflow.jsonl an MLflow server has got, and the sending of the rest.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "ddro/losses/metrics.h"
#include "run/mlflow_client.h"

namespace ddro::run {

inline constexpr const char* kMlflowLines = "mlflow.jsonl";

// A line of the file, of now.
std::string mlflow_line(const std::string& kind, std::int64_t step, const losses::Metrics& metrics);

// Remembers in mlflow.json, beside the lines, the id of the run on the server. What that has got already, the
// server is asked at each start: a step that was delivered is not delivered again, though a run that goes on
// from a checkpoint makes those behind it once more.
class MlflowQueue {
 public:
  // `is_new`: of a run that begins; an earlier one of the folder is nothing to it. `gives_up`: see
  // HttpClient.
  MlflowQueue(std::filesystem::path folder, MlflowSettings settings, bool is_new,
              std::function<bool()> gives_up);

  // Sends what the server lacks of the next lines, one read's worth; false when there are none. Errors of
  // MlflowClient.
  bool send_some();
  // Says that the run is done, unless that was said.
  void finish();
  const std::string& tracking_uri() const { return client_.settings().tracking_uri; }

 private:
  void read_state();
  void write_state() const;
  void begin_run(std::int64_t time_ms);
  void send(const std::vector<MlflowMetric>& metrics);
  std::string next_lines() const;

  std::filesystem::path folder_;
  MlflowClient client_;
  std::string run_id_;          // empty: none was created
  bool is_finished_ = false;    // the server knows that the run is done
  bool is_running_ = false;     // it knows that this start goes on with it
  std::uint64_t position_ = 0;  // in the file: the server has all before it
  MlflowSteps sent_;
};

}  // namespace ddro::run
