#include "run/mlflow_queue.h"

#include <algorithm>
#include <cctype>
#include <fstream>
#include <string_view>
#include <utility>

#include "ddro/base/files.h"
#include "ddro/base/heartbeat.h"
#include "ddro/run/loaded_run.h"
#include "run/metrics_file.h"

namespace ddro::run {
namespace {

constexpr const char* kState = "mlflow.json";
constexpr size_t kReadBytes = size_t{1} << 16;  // some dozens of lines

std::int64_t milliseconds_now() { return static_cast<std::int64_t>(seconds_since_1970() * 1e3); }

std::int64_t integer_at(const Json& line, const char* name) { return line.at(name).get<std::int64_t>(); }

// The names that MLflow takes.
std::string key_of(std::string name) {
  const auto is_foreign = [](unsigned char c) {
    return c >= 0x80 || (std::isalnum(c) == 0 &&
                         std::string_view("_-. /").find(static_cast<char>(c)) == std::string_view::npos);
  };
  std::replace_if(name.begin(), name.end(), is_foreign, '_');
  return name;
}

std::vector<MlflowMetric> metrics_of(const Json& line) {
  std::vector<MlflowMetric> metrics;
  for (const auto& [name, value] : line.items()) {
    if (!value.is_number() || name == "step" || name == "time_ms") continue;
    metrics.push_back(
        {key_of(name), value.get<double>(), integer_at(line, "time_ms"), integer_at(line, "step")});
  }
  return metrics;
}

// The whole lines of a text, as JSON.
std::vector<Json> parsed_lines(const std::string& text) {
  std::vector<Json> lines;
  size_t begin = 0;
  for (size_t end = text.find('\n'); end != std::string::npos; begin = end + 1, end = text.find('\n', begin))
    lines.push_back(Json::parse(text.substr(begin, end - begin)));
  return lines;
}

}  // namespace

std::string mlflow_line(const std::string& kind, std::int64_t step, const losses::Metrics& metrics) {
  Json line = logged_line(kind, step, metrics);
  line["time_ms"] = milliseconds_now();
  return line.dump() + "\n";
}

MlflowQueue::MlflowQueue(std::filesystem::path folder, MlflowSettings settings, bool is_new,
                         std::function<bool()> gives_up)
    : folder_(std::move(folder)), client_(std::move(settings), std::move(gives_up)) {
  if (!is_new) read_state();
}

// That of another server or experiment has no meaning here.
void MlflowQueue::read_state() {
  std::error_code ignored;
  if (!std::filesystem::exists(folder_ / kState, ignored)) return;
  const Json json = Json::parse(read_file(folder_ / kState, ErrorKind::kModel), nullptr, false);
  if (!json.is_object() || json.value("tracking_uri", "") != tracking_uri() ||
      json.value("experiment", "") != client_.settings().experiment) {
    return;
  }
  run_id_ = json.value("run_id", "");
  is_finished_ = json.value("finished", false);
  if (is_finished_) position_ = std::filesystem::file_size(folder_ / kMlflowLines);
}

void MlflowQueue::write_state() const {
  const Json json = {{"tracking_uri", tracking_uri()},
                     {"experiment", client_.settings().experiment},
                     {"run_id", run_id_},
                     {"finished", is_finished_}};
  replace_file(folder_ / kState, json.dump(1) + "\n");
}

// Whole lines from the position on, empty when there are none yet.
std::string MlflowQueue::next_lines() const {
  std::ifstream file(folder_ / kMlflowLines, std::ios::binary);
  file.seekg(static_cast<std::streamoff>(position_));
  std::string lines, part(kReadBytes, '\0');
  do {
    file.read(part.data(), static_cast<std::streamsize>(part.size()));
    lines.append(part, 0, static_cast<size_t>(file.gcount()));
  } while (file && lines.find('\n') == std::string::npos);
  lines.resize(lines.rfind('\n') + 1);  // npos + 1 is 0
  return lines;
}

// The settings are those with which the run began: MLflow lets none change.
void MlflowQueue::begin_run(std::int64_t time_ms) {
  if (run_id_.empty()) {
    run_id_ = client_.create_run((folder_ / "").parent_path().filename().string(), time_ms);
  } else {
    client_.set_status(run_id_, "RUNNING", std::nullopt);
  }
  is_finished_ = false;
  write_state();
  const MlflowRun known = client_.get_run(run_id_);
  sent_ = known.last_steps;
  const Json record = read_run_record(folder_);
  if (!known.has_params && record.is_object())
    client_.log_params(run_id_, record.value("run", Json::object()));
  is_running_ = true;
}

bool MlflowQueue::send_some() {
  const std::string text = next_lines();
  if (text.empty()) return false;
  const std::vector<Json> lines = parsed_lines(text);
  if (!is_running_) begin_run(integer_at(lines.front(), "time_ms"));
  std::vector<MlflowMetric> metrics;
  for (const Json& line : lines) {
    if (integer_at(line, "step") <= sent_.of(line.at("kind").get<std::string>())) continue;
    for (MlflowMetric& metric : metrics_of(line)) metrics.push_back(std::move(metric));
  }
  send(metrics);
  position_ += text.size();
  return true;
}

void MlflowQueue::send(const std::vector<MlflowMetric>& metrics) {
  for (size_t begin = 0; begin < metrics.size(); begin += kMaxMlflowMetrics) {
    const size_t end = std::min(metrics.size(), begin + kMaxMlflowMetrics);
    const auto at = [&](size_t i) { return metrics.begin() + static_cast<std::ptrdiff_t>(i); };
    client_.log_metrics(run_id_, {at(begin), at(end)});
  }
}

void MlflowQueue::finish() {
  if (run_id_.empty() || (is_finished_ && !is_running_)) return;
  client_.set_status(run_id_, "FINISHED", milliseconds_now());
  is_finished_ = true;
  is_running_ = false;
  write_state();
}

}  // namespace ddro::run
