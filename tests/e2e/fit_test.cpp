// reference.fit: the reference is trained on the rows first, in a run of its own.
#include <gmock/gmock.h>

#include <csignal>

#include "ddro/base/hash.h"
#include "rank_runs.h"
#include "support/run_program.h"
#include "support/temporary_folder.h"

namespace ddro::test {
namespace {

using testing::HasSubstr;
using testing::Not;
using Settings = std::vector<std::string>;

Settings fitting(Settings more = {}) {
  Settings all = {"reference.fit={num_train_epochs: 2, learning_rate: 3.0e-3}", "train.max_steps=4",
                  "eval.eval_steps=4"};
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

std::filesystem::path fit_folder(const TinyRun& run) { return run.output_dir() / "reference"; }

Json record_of(const std::filesystem::path& folder) {
  return read_json_file((folder / "run.json").string(), ErrorKind::kInput);
}

Json best_of(const TinyRun& run) {
  const Json best = record_of(fit_folder(run))["best"];
  for (Json& line : json_lines(fit_folder(run) / "metrics.jsonl")) {
    if (line["kind"] == "eval" && line["step"] == best["step"]) return line;
  }
  throw std::runtime_error("no evaluation at the step of best/");
}

std::string weights_hash(const std::filesystem::path& folder) {
  return hash_file(folder / "model.safetensors");
}

// Policy and reference begin as the best model of the fit: what it gave for the held-out rows they give too.
void expect_begins_with_the_fit(const TinyRun& run, double tolerance = 1e-4) {
  const Json start = run.metrics("eval").front(), best = best_of(run);
  ASSERT_EQ(start["step"], 0);
  EXPECT_LE(start["eval_held_out_log_ratio/abs_max"].get<double>(), tolerance);
  for (const char* name : {"eval_held_out_logps/chosen", "eval_held_out_logps/rejected"})
    EXPECT_NEAR(start[name].get<double>(), best[name].get<double>(), tolerance) << name;
}

// The undisturbed run, made once.
struct Undisturbed {
  TemporaryFolder folder;
  TinyRun run{folder.path(), fitting()};
  int code = run.run();
};

const TinyRun& undisturbed() {
  static const Undisturbed instance;
  if (instance.code != 0) throw std::runtime_error("the undisturbed run failed: " + instance.run.log_text());
  return instance.run;
}

TEST(Fit, IsWhatPolicyAndReferenceBeginWith) {
  const TinyRun& run = undisturbed();
  expect_begins_with_the_fit(run);
  const std::vector<Json> fit = json_lines(fit_folder(run) / "metrics.jsonl");
  EXPECT_LT(best_of(run)["eval_held_out_loss"], fit.front()["eval_held_out_loss"]) << "nothing was learnt";
  EXPECT_GT(run.metrics("eval").back()["eval_held_out_log_ratio/abs_max"], 0);
  const Json record = record_of(run.output_dir());
  EXPECT_EQ(record["reference"], "fitted to the rows of both classes, in reference/best");
  EXPECT_EQ(record["run"]["reference"], record["run"]["base_model"]);
  EXPECT_NE(record["run"]["base_model"], record_of(fit_folder(run))["run"]["base_model"]);
}

TEST(Fit, OfAClassShareIsWeighedByTheRunsAlpha) {
  const TemporaryFolder folder;
  const TinyRun run(folder.path(), fitting({"objective.alpha=0.25"}));
  ASSERT_EQ(run.run(), 0) << run.log_text();
  EXPECT_EQ(record_of(fit_folder(run))["run"]["loss"], "loss_type: mixture_nll, alpha: 0.25");
  const Json line = best_of(run);
  EXPECT_NEAR(line["eval_held_out_loss"].get<double>(),
              -0.25 * line["eval_held_out_logps/chosen"].get<double>() -
                  0.75 * line["eval_held_out_logps/rejected"].get<double>(),
              1e-9);
  EXPECT_NE(weights_hash(fit_folder(run) / "best"), weights_hash(fit_folder(undisturbed()) / "best"));
}

TEST(Fit, IsDoneOnce) {
  const TemporaryFolder folder;
  std::filesystem::copy(undisturbed().output_dir(), folder.path() / "run",
                        std::filesystem::copy_options::recursive);
  std::filesystem::remove_all(folder.path() / "run/final");
  const TinyRun again(folder.path(), fitting());
  ASSERT_EQ(again.run(), 0) << again.log_text();
  EXPECT_THAT(again.log_text(), Not(HasSubstr("/14  loss")));
  EXPECT_EQ(weights_hash(again.output_dir() / "final"), weights_hash(undisturbed().output_dir() / "final"));

  const TinyRun other(folder.path(), fitting({"reference.fit.learning_rate=1.0e-3"}));
  EXPECT_EQ(other.run(), 2);
  EXPECT_THAT(other.log_text(), HasSubstr("optimizer.learning_rate: 0.003 -> 0.001); use another"));
  const TinyRun without(folder.path(), fitting({"reference.fit.num_train_epochs=0"}));
  EXPECT_EQ(without.run(), 2);
  EXPECT_THAT(without.log_text(), HasSubstr("base_model"));
}

class KilledFit : public testing::TestWithParam<const char*> {};

TEST_P(KilledFit, EndsAsIfNothingHadBeen) {
  const TemporaryFolder folder;
  const TinyRun run(folder.path(), fitting());
  ASSERT_EQ(run.run({}, {std::string("DDRO_FAILPOINT=") + GetParam()}), -SIGKILL) << run.log_text();
  ASSERT_EQ(run.run(), 0) << run.log_text();
  EXPECT_EQ(weights_hash(run.output_dir() / "final"), weights_hash(undisturbed().output_dir() / "final"));
  EXPECT_EQ(weights_hash(fit_folder(run) / "best"), weights_hash(fit_folder(undisturbed()) / "best"));
  EXPECT_EQ(lasting_metrics(run), lasting_metrics(undisturbed()));
}

// The run is loaded three times: to be checked, for the fit, for itself.
INSTANTIATE_TEST_SUITE_P(All, KilledFit,
                         testing::Values("train.loaded:2", "checkpoint.after_rename:2", "best.in_place:1",
                                         "export_before_rename:2", "train.loaded:3",
                                         "reference_cache.append:2", "train.built:2"));

TEST(Fit, StopsForASignalAndGoesOn) {
  const TemporaryFolder folder;
  const TinyRun run(folder.path(), fitting());
  {
    BackgroundProgram program(run.arguments(), run.log().string());
    ASSERT_TRUE(program.wait_for_output("step 5/14", 60)) << program.output();
    program.send(SIGTERM);
    ASSERT_EQ(program.wait(60).code, 75) << program.output();
  }
  EXPECT_FALSE(std::filesystem::exists(run.output_dir() / "run.json"));
  ASSERT_EQ(run.run(), 0) << run.log_text();
  EXPECT_EQ(weights_hash(run.output_dir() / "final"), weights_hash(undisturbed().output_dir() / "final"));
}

TEST(Fit, StopsEarly) {
  const TemporaryFolder folder;
  const TinyRun run(folder.path(), fitting({"reference.fit={num_train_epochs: 9, learning_rate: 0.1}",
                                            "reference.fit.early_stopping_patience=1", "eval.eval_steps=2",
                                            "optimizer.lr_scheduler_type=constant"}));
  ASSERT_EQ(run.run(), 0) << run.log_text();
  EXPECT_THAT(record_of(fit_folder(run))["stopped_early"].get<std::string>(),
              HasSubstr("the last 1 evaluations were no better than eval_held_out_loss"));
  expect_begins_with_the_fit(run);
}

TEST(Fit, WithoutEvaluationsIsItsLastModel) {
  const TemporaryFolder folder;
  const TinyRun run(folder.path(), fitting({"eval.eval_strategy='no'"}));
  ASSERT_EQ(run.run(), 0) << run.log_text();
  EXPECT_THAT(record_of(run.output_dir())["reference"].get<std::string>(),
              testing::EndsWith("reference/final"));
}

TEST(Fit, OfAnAdapterIsTheBaseOfTheRuns) {
  const TemporaryFolder folder;
  const TinyRun run(folder.path(), fitting({"adapter.adapter_type=lora", "optimizer.learning_rate=1.0e-2",
                                            "reference.fit.learning_rate=1.0e-2"}));
  ASSERT_EQ(run.run(), 0) << run.log_text();
  expect_begins_with_the_fit(run, 1e-3);
  const Json adapter =
      read_json_file((run.output_dir() / "final/adapter_config.json").string(), ErrorKind::kModel);
  EXPECT_EQ(adapter["base_model_name_or_path"], (fit_folder(run) / "best").string());
}

TEST(Fit, InTwoRanksIsTheSame) {
  const TemporaryFolder one_folder, folder;
  const TinyRun one(one_folder.path(), fitting({"model.dtype=float64"}));
  ASSERT_EQ(one.run(), 0) << one.log_text();
  const TinyRun two(folder.path(), fitting({"model.dtype=float64"}));
  ASSERT_EQ(two.run(ranks(2)), 0) << two.log_text();
  expect_begins_with_the_fit(two, 1e-9);
  const auto loss = [](const TinyRun& run) { return run.metrics("eval").back()["eval_held_out_loss"]; };
  EXPECT_NEAR(loss(two).get<double>(), loss(one).get<double>(), 1e-9);
}

TEST(Fit, IsPlanned) {
  const TemporaryFolder folder;
  const TinyRun run(folder.path(), fitting());
  const ProgramResult plan = run_program(run.arguments({"--dry-run"}));
  ASSERT_EQ(plan.exit_code, 0) << plan.err;
  EXPECT_THAT(plan.out, HasSubstr("reference: to be fitted to the rows of both classes first\n"));
  EXPECT_THAT(plan.out,
              HasSubstr("reference fit: at most 14 steps on the rows of both classes, learning rate "
                        "0.003; the best model by eval_held_out_loss, it ends after 2 evaluations"));
  EXPECT_THAT(plan.out, Not(HasSubstr("reference cache")));
  EXPECT_FALSE(std::filesystem::exists(run.output_dir()));
  const ProgramResult eval =
      run_program({environment_path("DDRO_TRAIN").string(), "eval", run.config().string(), "--model",
                   fixture("tiny_run/model").string(), "--set", "reference.fit.num_train_epochs=2"});
  EXPECT_EQ(eval.exit_code, 2);
  EXPECT_THAT(eval.err, HasSubstr("run/reference holds no model yet, which is the reference; train first"));
}

TEST(Fit, IsEvaluatedAsItWasTrained) {
  const TinyRun& run = undisturbed();
  const ProgramResult eval =
      run_program({environment_path("DDRO_TRAIN").string(), "eval", run.config().string(), "--set",
                   "reference.fit.num_train_epochs=2"});
  ASSERT_EQ(eval.exit_code, 0) << eval.err;
  const Json evaluated = Json::parse(eval.out), last = run.metrics("eval").back();
  EXPECT_EQ(evaluated["eval_held_out_loss"], last["eval_held_out_loss"]);
}

TEST(Fit, IsRefusedForARunThatHasBegunWithout) {
  const TemporaryFolder folder;
  ASSERT_EQ(TinyRun(folder.path(), {"train.max_steps=2"}).run(), 0);
  const TinyRun run(folder.path(), fitting());
  EXPECT_EQ(run.run(), 2);
  EXPECT_THAT(run.log_text(), HasSubstr("holds a run with another reference"));
  EXPECT_FALSE(std::filesystem::exists(fit_folder(run)));
}

TEST(Fit, IsRefusedBeforeItWhereTheRunIs) {
  const TemporaryFolder folder;
  const TinyRun run(folder.path(), fitting({"objective.max_weight=0.5"}));
  EXPECT_EQ(run.run(), 2);
  EXPECT_THAT(run.log_text(), HasSubstr("objective.max_weight"));
  EXPECT_FALSE(std::filesystem::exists(run.output_dir()));
}

}  // namespace
}  // namespace ddro::test
