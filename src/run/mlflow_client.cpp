#include "run/mlflow_client.h"

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <stdexcept>

#include "ddro/base/error.h"

namespace ddro::run {
namespace {

constexpr size_t kMaxParams = 100;       // in one request
constexpr size_t kMaxParamLength = 500;  // of older servers; newer ones take 6000
constexpr const char* kInterface = "/api/2.0/mlflow/";

std::string from_environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

[[noreturn]] void refuse(const std::string& what) {
  throw input_error("[logging.report_to] mlflow: " + what);
}

std::string checked_uri(std::string uri) {
  if (uri.empty()) refuse("MLFLOW_TRACKING_URI is not set; expected http://HOST:PORT of a tracking server");
  const size_t scheme = uri.starts_with("http://") ? 7 : uri.starts_with("https://") ? 8 : 0;
  const auto is_visible = [](unsigned char c) { return c > ' ' && c < 0x7f; };
  if (scheme == 0 || uri.size() == scheme || !std::all_of(uri.begin(), uri.end(), is_visible))
    refuse("MLFLOW_TRACKING_URI is no address; got " + printable(uri) + ", expected http://HOST:PORT");
  if (uri.find('@') != std::string::npos) {
    refuse(
        "MLFLOW_TRACKING_URI holds a name or password; set MLFLOW_TRACKING_USERNAME and "
        "MLFLOW_TRACKING_PASSWORD");
  }
  while (uri.ends_with('/')) uri.pop_back();
  return uri;
}

// Of an error: what the server says is wrong, or the beginning of what it says at all.
std::string message_of(const HttpAnswer& answer) {
  const Json json = Json::parse(answer.body, nullptr, /*allow_exceptions=*/false);
  const bool has_message = json.is_object() && json.contains("message") && json["message"].is_string();
  return printable(has_message ? json["message"].get<std::string>() : answer.body, 200);
}

Json content_of(const HttpAnswer& answer, const std::string& path) {
  if (answer.status != 200)
    throw std::runtime_error(path + ": HTTP " + std::to_string(answer.status) + ", " + message_of(answer));
  Json json = Json::parse(answer.body, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object())
    throw std::runtime_error(path + ": the answer is not JSON: " + printable(answer.body));
  return json;
}

// /experiment/experiment_id and the like.
std::string text_at(const Json& json, const char* pointer, const std::string& path) {
  const Json::json_pointer at(pointer);
  if (!json.contains(at) || !json.at(at).is_string())
    throw std::runtime_error(path + ": the answer lacks " + pointer);
  return json.at(at).get<std::string>();
}

// Servers write 64 bits as a number or as text.
std::int64_t integer(const Json& json) {
  return json.is_string() ? std::stoll(json.get<std::string>()) : json.get<std::int64_t>();
}

// Text of at most so many bytes, of whole characters.
std::string cut(const std::string& text) {
  if (text.size() <= kMaxParamLength) return text;
  size_t end = kMaxParamLength;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
  return text.substr(0, end);
}

}  // namespace

MlflowSettings mlflow_settings() {
  MlflowSettings settings;
  settings.tracking_uri = checked_uri(from_environment("MLFLOW_TRACKING_URI"));
  if (const std::string name = from_environment("MLFLOW_EXPERIMENT_NAME"); !name.empty())
    settings.experiment = name;
  settings.login = {from_environment("MLFLOW_TRACKING_USERNAME"),
                    from_environment("MLFLOW_TRACKING_PASSWORD"), from_environment("MLFLOW_TRACKING_TOKEN")};
  return settings;
}

MlflowClient::MlflowClient(MlflowSettings settings, std::function<bool()> gives_up)
    : settings_(std::move(settings)), http_(settings_.login, std::move(gives_up)) {}

Json MlflowClient::post(const std::string& path, const Json& body) {
  // Invalid UTF-8 of a file's name is replaced.
  const std::string text = body.dump(-1, ' ', false, Json::error_handler_t::replace);
  return content_of(http_.post(settings_.tracking_uri + kInterface + path, text), path);
}

std::string MlflowClient::experiment_id() {
  const std::string path = "experiments/get-by-name";
  const HttpAnswer found = http_.get(settings_.tracking_uri + kInterface + path +
                                     "?experiment_name=" + http_.escaped(settings_.experiment));
  if (found.status != 404) return text_at(content_of(found, path), "/experiment/experiment_id", path);
  const std::string create = "experiments/create";
  return text_at(post(create, {{"name", settings_.experiment}}), "/experiment_id", create);
}

std::string MlflowClient::create_run(const std::string& name, std::int64_t time_ms) {
  const std::string path = "runs/create";
  const Json source = {{"key", "mlflow.source.name"}, {"value", "ddro-train"}};
  const Json body = {{"experiment_id", experiment_id()},
                     {"run_name", name},
                     {"start_time", time_ms},
                     {"tags", Json::array({source})}};
  return text_at(post(path, body), "/run/info/run_id", path);
}

MlflowRun MlflowClient::get_run(const std::string& run_id) {
  const std::string path = "runs/get";
  const Json json = content_of(
      http_.get(settings_.tracking_uri + kInterface + path + "?run_id=" + http_.escaped(run_id)), path);
  MlflowRun run;
  const Json data = json.value(Json::json_pointer("/run/data"), Json::object());
  for (const Json& metric : data.value("metrics", Json::array())) {
    const std::string key = metric.value("key", "");
    std::int64_t& last = key.starts_with("eval_") ? run.last_steps.eval : run.last_steps.train;
    last = std::max(last, integer(metric.value("step", Json(0))));
  }
  run.has_params = !data.value("params", Json::array()).empty();
  return run;
}

void MlflowClient::log_params(const std::string& run_id, const Json& params) {
  Json list = Json::array();
  const auto send = [&] {
    if (!list.empty()) post("runs/log-batch", {{"run_id", run_id}, {"params", list}});
    list = Json::array();
  };
  for (const auto& [key, value] : params.items()) {
    const std::string text = value.is_string() ? value.get<std::string>() : value.dump();
    list.push_back({{"key", key}, {"value", cut(text)}});
    if (list.size() == kMaxParams) send();
  }
  send();
}

void MlflowClient::log_metrics(const std::string& run_id, const std::vector<MlflowMetric>& metrics) {
  Json list = Json::array();
  for (const MlflowMetric& metric : metrics) {
    list.push_back(
        {{"key", metric.key}, {"value", metric.value}, {"timestamp", metric.time_ms}, {"step", metric.step}});
  }
  post("runs/log-batch", {{"run_id", run_id}, {"metrics", list}});
}

void MlflowClient::set_status(const std::string& run_id, const std::string& status,
                              std::optional<std::int64_t> end_ms) {
  Json body = {{"run_id", run_id}, {"status", status}};
  if (end_ms) body["end_time"] = *end_ms;
  post("runs/update", body);
}

}  // namespace ddro::run
