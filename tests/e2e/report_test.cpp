// What a run leaves for TensorBoard and Prometheus, what `ddro-train status` says of it, and `ddro-train
// report` as a real browser shows it.
#include <gmock/gmock.h>

#include <fstream>

#include "ddro/base/heartbeat.h"
#include "support/run_program.h"
#include "support/temporary_folder.h"
#include "tiny_run.h"

namespace ddro::test {
namespace {

using ddro::test::ddro_train;
using ddro::test::ProgramResult;
using ddro::test::run_program;
using ::testing::Contains;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;

namespace fs = std::filesystem;

std::string python() { return source_path(".venv/bin/python").string(); }

std::vector<fs::path> event_files(const fs::path& folder) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.path().filename().string().starts_with("events.out.tfevents.")) files.push_back(entry.path());
  }
  return files;
}

size_t count_in(const std::vector<fs::path>& files, const std::string& text) {
  size_t count = 0;
  for (const fs::path& file : files) {
    const std::string content = read_file(file);
    for (size_t at = content.find(text); at != std::string::npos; at = content.find(text, at + 1)) ++count;
  }
  return count;
}

void expect_tensorboard_agrees(const TinyRun& run) {
  const ProgramResult check =
      run_program({python(), source_path("tests/e2e/check_events.py").string(), run.output_dir().string()});
  EXPECT_EQ(check.exit_code, 0) << check.out << check.err;
}

Json status_of(const TinyRun& run) {
  const ProgramResult result = ddro_train({"status", "--json", run.output_dir().string()});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  return parse_json(result.out, "status", ErrorKind::kInput);
}

TEST(Status, FollowsARunOverItsStarts) {
  const TemporaryFolder folder;
  const TinyRun run(folder.path(), {"train.max_steps=6"});
  ASSERT_EQ(run.run({}, {"DDRO_FAILPOINT=checkpoint.before_rename:2"}), -SIGKILL) << run.log_text();
  const Json killed = status_of(run);
  EXPECT_EQ(killed["state"], "dead");
  EXPECT_EQ(killed["heartbeat"]["host"], host_name());
  EXPECT_EQ(killed["step"], 6);
  EXPECT_EQ(killed["newest_checkpoint"], 3);
  EXPECT_EQ(killed["starts"], 1);
  ASSERT_EQ(run.run(), 0) << run.log_text();
  const Json finished = status_of(run);
  EXPECT_EQ(finished["state"], "finished");
  EXPECT_EQ(finished["heartbeat"], nullptr);
  EXPECT_EQ(finished["total_steps"], 6);
  EXPECT_EQ(finished["newest_checkpoint"], 6);
  EXPECT_EQ(finished["starts"], 2);
  EXPECT_EQ(finished["evaluated"]["held_out"]["step"], 6);
}

// Halted in its first save, and asked to stop.
TEST(Status, OfARunThatGoesOn) {
  const TemporaryFolder folder;
  const TinyRun run(folder.path(), {"train.max_steps=2000"});
  BackgroundProgram program(run.arguments(), run.log().string(),
                            {"DDRO_FAILPOINT=checkpoint.before_rename:1:stop"});
  ASSERT_TRUE(program.wait_for_halt(60)) << program.output();
  const Json halted = status_of(run);
  EXPECT_EQ(halted["state"], "running");
  EXPECT_EQ(halted["heartbeat"]["process"], program.pid());
  EXPECT_GE(halted["step"], 3);
  EXPECT_EQ(halted["newest_checkpoint"], nullptr);
  EXPECT_EQ(
      ddro_train({"report", run.output_dir().string(), "--out", (folder / "page.html").string()}).exit_code,
      0);
  program.send(SIGTERM);
  program.send(SIGCONT);
  EXPECT_EQ(program.wait(60).code, 75) << program.output();
  const Json stopped = status_of(run);
  EXPECT_EQ(stopped["state"], "stopped");
  EXPECT_EQ(stopped["newest_checkpoint"], stopped["step"]);
}

TEST(Status, OfSeveralFoldersTellsThoseThatAreRuns) {
  const TemporaryFolder folder;
  const TinyRun run(folder.path(), {"train.max_steps=2"});
  ASSERT_EQ(run.run(), 0) << run.log_text();
  const std::string here = run.output_dir().string();
  const ProgramResult some = ddro_train({"status", here, folder.path().string(), here});
  EXPECT_EQ(some.exit_code, 0);
  EXPECT_THAT(some.out, ContainsRegex("run: finished\n(.*\n)+run: finished\n"));
  EXPECT_THAT(some.err, HasSubstr("[" + folder.path().string() + "] is not a run's folder"));
  const ProgramResult none = ddro_train({"status", folder.path().string(), "/no/such/folder"});
  EXPECT_EQ(none.exit_code, 2);
  EXPECT_THAT(none.err, HasSubstr("error: [status] none of the folders is a run's"));
}

TEST(Prometheus, ReadsTheLastValuesOfMetricsJsonl) {
  const TemporaryFolder folder;
  const TinyRun run(folder.path(),
                    {"train.max_steps=6", "eval.eval_steps=2", "logging.report_to=[jsonl, prometheus]",
                     "data.eval_files={held_out: '" + fixture("tiny_run/pairs_eval.jsonl").string() +
                         "', other-set: '" + fixture("tiny_run/pairs_eval.jsonl").string() + "'}"});
  ASSERT_EQ(run.run(), 0) << run.log_text();
  const ProgramResult check = run_program(
      {python(), source_path("tests/e2e/check_prometheus.py").string(), run.output_dir().string()});
  EXPECT_EQ(check.exit_code, 0) << check.out << check.err;
}

TEST(TensorBoard, ReadsTheValuesOfMetricsJsonl) {
  const TemporaryFolder folder;
  const TinyRun run(folder.path(), {"train.max_steps=6", "eval.eval_steps=2"});
  ASSERT_EQ(run.run(), 0) << run.log_text();
  EXPECT_EQ(event_files(run.output_dir()).size(), 1u);
  expect_tensorboard_agrees(run);
}

TEST(TensorBoard, ShowsEachStepOnceAfterKills) {
  const TemporaryFolder folder;
  const TinyRun run(folder.path(), {"checkpoint.async_save=false"});  // kills at a known step
  // Before the first checkpoint (of step 3), then before the second of the next start (of step 6).
  for (const char* point : {"checkpoint.folder:1", "checkpoint.before_rename:2"})
    ASSERT_EQ(run.run({}, {std::string("DDRO_FAILPOINT=") + point}), -SIGKILL) << run.log_text();
  ASSERT_EQ(run.run(), 0) << run.log_text();
  EXPECT_THAT(run.log_text(), HasSubstr("after step 3 of"));
  const std::vector<fs::path> files = event_files(run.output_dir());
  EXPECT_EQ(files.size(), 3u);
  EXPECT_EQ(count_in(files, "train/grad_norm"), kTinySteps + 3u + 3u) << "what is to be withdrawn is there";
  expect_tensorboard_agrees(run);
}

TEST(TensorBoard, IsLeftOutWhenItIsNotNamed) {
  const TemporaryFolder folder;
  const TinyRun run(folder.path(), {"train.max_steps=2", "logging.report_to=[jsonl]"});
  ASSERT_EQ(run.run(), 0) << run.log_text();
  EXPECT_TRUE(event_files(run.output_dir()).empty());
}

class Report : public ::testing::Test {
 protected:
  // The page of these runs as a browser of that width shows it: what check_page.py says.
  Json look_at(std::vector<std::string> arguments, int width = 1300, bool dark = false) {
    const std::string page = (folder_ / "report.html").string();
    arguments.insert(arguments.begin(), "report");
    arguments.insert(arguments.end(), {"--out", page});
    const ProgramResult made = ddro_train(arguments);
    EXPECT_EQ(made.exit_code, 0) << made.err;
    EXPECT_EQ(made.out, page + "\n");
    std::vector<std::string> check = {python(), source_path("tests/e2e/check_page.py").string(), page,
                                      std::to_string(width), (folder_ / "page.png").string()};
    if (dark) check.push_back("--dark");
    const ProgramResult looked = run_program(check);
    EXPECT_EQ(looked.exit_code, 0) << looked.err;
    const Json seen = Json::parse(looked.out);
    EXPECT_EQ(seen["drawn"], true);
    EXPECT_EQ(seen["errors"].dump(), "[]");
    EXPECT_EQ(seen["wide"], 0) << "something is cut off on the right";
    for (const Json& panel : seen["panels"]) EXPECT_EQ(panel["bad"], false) << panel;
    return seen;
  }

  // A folder with this metrics.jsonl.
  std::string past_run(const std::string& name, const std::string& metrics) {
    fs::create_directories(folder_ / name);
    write_file_atomic(folder_ / name / "metrics.jsonl", metrics);
    return (folder_ / name).string();
  }

  TemporaryFolder folder_;
};

Json panel_of(const Json& seen, const std::string& title) {
  for (const Json& panel : seen["panels"]) {
    if (panel["title"] == title) return panel;
  }
  ADD_FAILURE() << "no panel " << title << " in " << seen["panels"];
  return {{"lines", -1}, {"bands", -1}, {"dots", -1}, {"zero", -1}};
}

int brightness(const Json& color) { return color[0].get<int>() + color[1].get<int>() + color[2].get<int>(); }

TEST_F(Report, DrawsARunInLightAndDarkWideAndNarrow) {
  const TinyRun run(folder_.path());
  ASSERT_EQ(run.run(), 0) << run.log_text();
  const Json wide = look_at({run.output_dir().string()});
  for (const char* title :
       {"Loss", "Accuracy", "AUC", "Margin", "Largest log-ratio", "Mean ratio over the mixture"}) {
    const Json panel = panel_of(wide, title);
    EXPECT_EQ(panel["lines"], 2) << title;  // training and held_out
    EXPECT_EQ(panel["dots"], 5) << title;   // evaluations
  }
  for (const char* title : {"Log-ratio by class, evaluation", "Log-ratio by class, training"}) {
    const Json panel = panel_of(wide, title);
    EXPECT_EQ(panel["lines"], 2) << title;
    EXPECT_EQ(panel["bands"], 2) << title;
    EXPECT_EQ(panel["zero"], 1) << title;
  }
  EXPECT_EQ(panel_of(wide, "Saturated and capped")["lines"], 4);
  for (const char* title :
       {"Gradient norm", "Learning rate", "Throughput", "Model FLOPs utilization", "Peak memory"})
    EXPECT_EQ(panel_of(wide, title)["lines"], 1) << title;
  char loss[40];
  std::snprintf(loss, sizeof loss, "%.5g", run.metrics("train").at(12)["loss"].get<double>());
  EXPECT_EQ(wide["tip"], std::string("step 13training") + loss);
  const std::string text = wide["text"];
  EXPECT_THAT(text, HasSubstr("finished at step 28"));
  EXPECT_THAT(text, HasSubstr("AUC\t0.5 → "));
  EXPECT_THAT(text, Not(HasSubstr("skipped")));
  EXPECT_GT(wide["colors"].get<int>(), 100);
  EXPECT_GT(brightness(wide["background"]), 600);

  const Json narrow = look_at({run.output_dir().string()}, 500, /*dark=*/true);
  EXPECT_EQ(narrow["panels"].size(), wide["panels"].size());
  EXPECT_LT(brightness(narrow["background"]), 150);
}

TEST_F(Report, LaysRunsOverEachOther) {
  const TemporaryFolder ddro_folder;
  const TemporaryFolder rdro_folder;
  const TinyRun ddro(ddro_folder.path(), {"train.max_steps=8"});
  const TinyRun rdro(rdro_folder.path(), {"train.max_steps=8", "objective.loss_type=rdro"});
  ASSERT_EQ(ddro.run(), 0) << ddro.log_text();
  ASSERT_EQ(rdro.run(), 0) << rdro.log_text();
  for (const TinyRun* run : {&ddro, &rdro}) {
    write_file_atomic(run->output_dir() / "samples.jsonl",
                      R"({"step":0,"prompt":"<b>Q</b>","completion":"same </script><script>throw 1</script>"}
{"step":8,"prompt":"<b>Q</b>","completion":"later"}
)");
  }
  const Json seen = look_at({ddro.output_dir().string(), rdro.output_dir().string()});
  EXPECT_EQ(panel_of(seen, "Loss")["lines"], 4);
  EXPECT_EQ(panel_of(seen, "Log-ratio by class, training: preferred")["bands"], 2);
  EXPECT_EQ(panel_of(seen, "Gradient norm")["lines"], 2);
  const std::string text = seen["text"];
  const std::string names = ddro.output_dir().string() + "\t" + rdro.output_dir().string();
  EXPECT_THAT(text, HasSubstr("key\t" + names + "\n"));
  EXPECT_THAT(text, HasSubstr("objective.loss_type\tddro\trdro"));
  EXPECT_THAT(text, Not(HasSubstr("train.seed")));
  EXPECT_THAT(text, HasSubstr("<b>Q</b>"));
  EXPECT_THAT(text, HasSubstr("same </script><script>throw 1</script>"));
}

TEST_F(Report, OfRunsThatHaveHardlyBegun) {
  const std::string empty = past_run("empty", "");
  const std::string one =
      past_run("<img src=x onerror='throw 1'>",
               "{\"kind\":\"train\",\"step\":5,\"loss\":0.5,\"grad_norm\":null}\n{\"kind\":\"tr");
  const Json nothing = look_at({empty});
  EXPECT_TRUE(nothing["panels"].empty());
  EXPECT_THAT(nothing["text"].get<std::string>(), HasSubstr("No values are logged yet."));
  const Json seen = look_at({empty, one});
  EXPECT_EQ(seen["panels"].size(), 1u);
  EXPECT_EQ(panel_of(seen, "Loss")["dots"], 1);
  EXPECT_THAT(seen["text"].get<std::string>(),
              HasSubstr("<img src=x onerror='throw 1'>: the last line of metrics.jsonl is incomplete"));
}

TEST_F(Report, OfALongRunWithGapsStaysSmall) {
  std::string lines;
  for (int step = 1; step <= 20000; ++step) {
    const std::string loss = step % 1000 == 0 ? "null" : std::to_string(1.0 / step);
    lines += "{\"kind\":\"train\",\"step\":" + std::to_string(step) + ",\"loss\":" + loss +
             ",\"grad_norm\":" + std::to_string(step) + "}\n";
  }
  const Json seen = look_at({past_run("long", lines)});
  EXPECT_EQ(panel_of(seen, "Loss")["lines"], 1);
  EXPECT_THAT(seen["text"].get<std::string>(), HasSubstr("20 logged steps without a finite loss"));
  EXPECT_THAT(seen["text"].get<std::string>(), HasSubstr("log scale"));
  EXPECT_LT(fs::file_size(folder_ / "report.html"), 100000u);
}

}  // namespace
}  // namespace ddro::test
