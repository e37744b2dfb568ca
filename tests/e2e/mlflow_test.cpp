// Metrics on an MLflow server, which answers, is slow, or is not there (mlflow_recorder.py).
#include <gmock/gmock.h>

#include <chrono>
#include <csignal>
#include <map>
#include <set>

#include "support/temporary_folder.h"
#include "tiny_run.h"

namespace ddro::test {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using Settings = std::vector<std::string>;

class Recorder {
 public:
  explicit Recorder(const fs::path& folder, const Settings& options = {})
      : folder_(folder), program_(arguments(folder, options), (folder / "recorder.log").string()) {
    if (!program_.wait_for_file(folder / "port", 20))
      throw std::runtime_error("the recorder does not listen: " + program_.output());
    port_ = read_file(folder / "port");
  }

  const std::string& port() const { return port_; }
  std::vector<Json> requests(const std::string& path) const {
    std::vector<Json> found;
    if (!fs::exists(folder_ / "requests.jsonl")) return found;
    for (Json& request : json_lines(folder_ / "requests.jsonl")) {
      if (request["path"] == path) found.push_back(request["body"]);
    }
    return found;
  }
  // In the order in which they came; each twice where a request came twice.
  std::vector<Json> metrics() const {
    std::vector<Json> all;
    for (const Json& batch : requests("runs/log-batch")) {
      if (!batch.contains("metrics")) continue;
      for (const Json& metric : batch["metrics"]) all.push_back(metric);
    }
    return all;
  }

 private:
  static Settings arguments(const fs::path& folder, const Settings& options) {
    Settings all = {source_path(".venv/bin/python").string(),
                    source_path("tests/e2e/mlflow_recorder.py").string(), folder.string()};
    all.insert(all.end(), options.begin(), options.end());
    return all;
  }

  fs::path folder_;
  BackgroundProgram program_;
  std::string port_;
};

Settings environment(const std::string& port) {
  return {"MLFLOW_TRACKING_URI=http://127.0.0.1:" + port, "NO_PROXY=127.0.0.1", "no_proxy=127.0.0.1"};
}

Settings reporting(Settings more = {}) {
  Settings all = {"logging.report_to=[jsonl, mlflow]", "train.max_steps=12", "eval.eval_steps=4"};
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

using Place = std::pair<std::string, std::int64_t>;  // name, step

Place place_of(const Json& metric) {
  return {metric["key"].get<std::string>(), metric["step"].get<std::int64_t>()};
}

std::map<Place, double> in_metrics_jsonl(const TinyRun& run) {
  std::map<Place, double> all;
  for (const char* kind : {"train", "eval"}) {
    for (const Json& line : run.metrics(kind)) {
      for (const auto& [name, value] : line.items()) {
        if (name != "kind" && name != "step" && value.is_number())
          all[{name, line["step"].get<std::int64_t>()}] = value.get<double>();
      }
    }
  }
  return all;
}

void expect_each_once(const Recorder& recorder, const TinyRun& run) {
  std::map<Place, double> got;
  for (const Json& metric : recorder.metrics()) {
    const bool is_new = got.emplace(place_of(metric), metric["value"].get<double>()).second;
    EXPECT_TRUE(is_new) << metric;
  }
  EXPECT_EQ(got, in_metrics_jsonl(run));
}

TEST(Mlflow, HasEveryMetricAndEverySetting) {
  const TemporaryFolder folder, server;
  const Recorder recorder(server.path());
  const TinyRun run(folder.path(), reporting());
  Settings all = environment(recorder.port());
  all.insert(all.end(), {"MLFLOW_EXPERIMENT_NAME=of people & models", "MLFLOW_TRACKING_USERNAME=ann",
                         "MLFLOW_TRACKING_PASSWORD=not-for-disks"});
  ASSERT_EQ(run.run({}, all), 0) << run.log_text();
  expect_each_once(recorder, run);
  EXPECT_EQ(recorder.requests("experiments/create")[0]["name"], "of people & models");
  ASSERT_EQ(recorder.requests("runs/create").size(), 1u);
  EXPECT_EQ(recorder.requests("runs/create")[0]["run_name"], "run");
  std::map<std::string, std::string> params;
  for (const Json& batch : recorder.requests("runs/log-batch")) {
    if (!batch.contains("params")) continue;
    for (const Json& param : batch["params"])
      params[param["key"].get<std::string>()] = param["value"].get<std::string>();
  }
  const Json settings = Json::parse(read_file(run.output_dir() / "run.json"))["run"];
  EXPECT_EQ(params.size(), settings.size());
  EXPECT_EQ(params["optimizer.learning_rate"], "0.003");
  EXPECT_EQ(params["base_model"], settings["base_model"].get<std::string>());
  EXPECT_EQ(recorder.requests("runs/update").back()["status"], "FINISHED");
  for (const auto& entry : fs::recursive_directory_iterator(run.output_dir())) {
    if (!entry.is_regular_file()) continue;
    EXPECT_EQ(read_file(entry.path()).find("not-for-disks"), std::string::npos) << entry.path();
  }
}

TEST(Mlflow, GetsLaterWhatADeadServerDidNotTake) {
  const TemporaryFolder folder, server;
  const std::string port = Recorder(server.path()).port();  // free again
  fs::remove(server / "port");
  const TinyRun run(folder.path(), reporting());
  ASSERT_EQ(run.run({}, environment(port)), 0) << run.log_text();
  EXPECT_THAT(run.log_text(), HasSubstr("the run goes on"));
  EXPECT_THAT(run.log_text(), HasSubstr("the same command sends it"));
  const Recorder recorder(server.path(), {"--port", port});
  ASSERT_EQ(run.run({}, environment(port)), 0) << run.log_text();
  EXPECT_THAT(run.log_text(), HasSubstr("is finished (12 steps)"));
  expect_each_once(recorder, run);
  EXPECT_EQ(recorder.requests("runs/update").back()["status"], "FINISHED");
  const size_t requests = json_lines(server / "requests.jsonl").size();
  ASSERT_EQ(run.run({}, environment(port)), 0) << run.log_text();
  EXPECT_EQ(json_lines(server / "requests.jsonl").size(), requests) << "it had all";
}

TEST(Mlflow, HoldsNoRunUp) {
  const TemporaryFolder folder, server;
  const Recorder recorder(server.path(), {"--delay", "600"});
  const TinyRun run(folder.path(), reporting());
  const auto start = std::chrono::steady_clock::now();
  ASSERT_EQ(run.run({}, environment(recorder.port())), 0) << run.log_text();
  const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
  double stepping = 0;
  for (const Json& line : run.metrics("train")) stepping += line["step_time_s"].get<double>();
  EXPECT_LT(stepping, 5) << "steps waited";
  EXPECT_LT(taken.count(), 30) << "half a minute is how long one request may take";
}

TEST(Mlflow, TriesAgain) {
  const TemporaryFolder folder, server;
  const Recorder recorder(server.path(), {"--fail", "1"});
  const TinyRun run(folder.path(), reporting());
  ASSERT_EQ(run.run({}, environment(recorder.port())), 0) << run.log_text();
  EXPECT_THAT(run.log_text(), HasSubstr("HTTP 503, not now; what it lacks waits in"));
  expect_each_once(recorder, run);
}

TEST(Mlflow, HasEachStepOnceAfterKills) {
  const TemporaryFolder folder, server;
  const Recorder recorder(server.path());
  const TinyRun run(folder.path(), reporting({"train.max_steps=28", "checkpoint.save_steps=6",
                                              "checkpoint.async_save=false"}));
  for (const char* step : {"step 10/28", "step 20/28"}) {
    BackgroundProgram program(run.arguments(), run.log().string(), environment(recorder.port()));
    ASSERT_TRUE(program.wait_for_output(step, 60)) << program.output();
    program.send(SIGKILL);
    program.wait(60);
  }
  ASSERT_EQ(run.run({}, environment(recorder.port())), 0) << run.log_text();
  // One that was killed before it heard its id has left an empty run behind.
  std::set<std::string> ids;
  for (const Json& batch : recorder.requests("runs/log-batch"))
    ids.insert(batch["run_id"].get<std::string>());
  EXPECT_EQ(ids.size(), 1u);
  std::map<Place, size_t> times;
  for (const Json& metric : recorder.metrics()) ++times[place_of(metric)];
  for (const auto& [place, value] : in_metrics_jsonl(run)) EXPECT_EQ(times[place], 1u) << place.first;
  EXPECT_EQ(times.size(), in_metrics_jsonl(run).size());
}

TEST(Mlflow, ARunThatStartsAfreshIsANewOne) {
  const TemporaryFolder folder, server;
  const Recorder recorder(server.path());
  const TinyRun run(folder.path(), reporting({"checkpoint.save_strategy=no"}));
  {
    BackgroundProgram program(run.arguments(), run.log().string(), environment(recorder.port()));
    ASSERT_TRUE(program.wait_for_output("step 10/12", 60)) << program.output();
    program.send(SIGKILL);
    program.wait(60);
  }
  ASSERT_EQ(run.run({}, environment(recorder.port())), 0) << run.log_text();
  const std::string last = recorder.requests("runs/log-batch").back()["run_id"].get<std::string>();
  EXPECT_EQ(recorder.requests("runs/update").back()["run_id"], last);
  std::set<std::int64_t> steps;
  for (const Json& batch : recorder.requests("runs/log-batch")) {
    if (batch["run_id"] != last || !batch.contains("metrics")) continue;
    for (const Json& metric : batch["metrics"]) {
      if (metric["key"] == "loss") steps.insert(metric["step"].get<std::int64_t>());
    }
  }
  EXPECT_EQ(steps.size(), 12u);
}

struct BadAddress {
  const char* name;
  const char* uri;
  const char* message;
};

class MlflowAddress : public testing::TestWithParam<BadAddress> {};

TEST_P(MlflowAddress, IsRefusedBeforeAnythingIsWritten) {
  const TemporaryFolder folder;
  const TinyRun run(folder.path(), reporting());
  EXPECT_EQ(run.run({}, {std::string("MLFLOW_TRACKING_URI=") + GetParam().uri}), 2);
  EXPECT_THAT(run.log_text(), HasSubstr(std::string("[logging.report_to] mlflow: ") + GetParam().message));
  EXPECT_FALSE(fs::exists(run.output_dir()));
}

INSTANTIATE_TEST_SUITE_P(
    Bad, MlflowAddress,
    testing::Values(BadAddress{"None", "", "MLFLOW_TRACKING_URI is not set"},
                    BadAddress{"Folder", "./mlruns", "MLFLOW_TRACKING_URI is no address; got ./mlruns"},
                    BadAddress{"Nothing", "http://", "MLFLOW_TRACKING_URI is no address"},
                    BadAddress{"Password", "http://ann:secret@host:5000",
                               "MLFLOW_TRACKING_URI holds a name"}),
    [](const testing::TestParamInfo<BadAddress>& entry) { return entry.param.name; });

}  // namespace
}  // namespace ddro::test
