// best/ and early stopping.
#include <gmock/gmock.h>

#include <csignal>
#include <cstdio>

#include "ddro/base/hash.h"
#include "rank_runs.h"
#include "support/run_program.h"
#include "support/temporary_folder.h"

namespace ddro::test {
namespace {

using testing::HasSubstr;
using Settings = std::vector<std::string>;

constexpr const char* kLoss = "eval_held_out_loss";

// Evaluations at steps 2, 4, 6, ... of which the later ones are worse: the rate is far too high.
Settings overshooting(Settings more = {}) {
  Settings all = {"eval.metric_for_best_model=loss", "eval.eval_steps=2", "optimizer.learning_rate=0.1",
                  "optimizer.lr_scheduler_type=constant"};
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

// Evaluations of which each is better than the one before, and checkpoints in between and with them.
Settings improving(Settings more = {}) {
  Settings all = {"eval.metric_for_best_model=held_out_loss", "eval.eval_steps=2", "train.max_steps=10",
                  "optimizer.lr_scheduler_type=constant"};
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

Json best_line(const TinyRun& run) {
  Json best;
  for (const Json& line : run.metrics("eval")) {
    if (line["step"] > 0 && (best.is_null() || line[kLoss] < best[kLoss])) best = line;
  }
  return best;
}

Json record_of_best(const TinyRun& run) {
  return read_json_file((run.output_dir() / "best/trainer.json").string(), ErrorKind::kInput);
}

Json run_record(const TinyRun& run) {
  return read_json_file((run.output_dir() / "run.json").string(), ErrorKind::kInput);
}

// Without the order of its members.
nlohmann::json members(const Json& object) { return nlohmann::json::parse(object.dump()); }

std::string weights_hash(const TinyRun& run, const char* folder) {
  return hash_file(run.output_dir() / folder / "model.safetensors");
}

// Of what the checkpoint after `step` steps is exported as.
std::string exported_hash(const TinyRun& run, std::int64_t step) {
  char checkpoint[64];
  std::snprintf(checkpoint, sizeof checkpoint, "checkpoints/step_%06d", static_cast<int>(step));
  const TemporaryFolder folder;
  const std::filesystem::path model = folder / "model";
  const ProgramResult result =
      run_program({environment_path("DDRO_TRAIN").string(), "export",
                   (run.output_dir() / checkpoint).string(), "--out", model.string()});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  return hash_file(model / "model.safetensors");
}

TEST(Best, IsTheModelOfTheBestEvaluation) {
  const TemporaryFolder folder;
  const TinyRun run(folder.path(), overshooting({"train.max_steps=12"}));
  ASSERT_EQ(run.run(), 0) << run.log_text();
  const Json best = best_line(run);
  ASSERT_LT(best["step"], 12) << "the last evaluation is the best; nothing is shown";
  const Json expected = {{"step", best["step"]}, {"metric", kLoss}, {"value", best[kLoss]}};
  Json record = record_of_best(run);
  record.erase("evaluated");
  EXPECT_EQ(members(record), members(expected));
  EXPECT_EQ(members(run_record(run)["best"]), members(expected));
  EXPECT_FALSE(run_record(run).contains("stopped_early"));
  EXPECT_THAT(run.log_text(), HasSubstr("best/ as read back gives eval_held_out_loss"));
  EXPECT_NE(weights_hash(run, "best"), weights_hash(run, "final"));
  const ProgramResult result =
      run_program({environment_path("DDRO_TRAIN").string(), "eval", run.config().string(), "--model",
                   (run.output_dir() / "best").string()});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const Json metrics = Json::parse(result.out);
  for (const auto& [name, value] : metrics.items()) {
    if (!name.starts_with("eval_")) continue;
    EXPECT_EQ(value, best[name]) << name;
  }
}

// best/ under a constant rate is the last checkpoint of a run that ends there.
TEST(Best, HoldsTheWeightsOfItsStep) {
  const TemporaryFolder folder, shorter_folder;
  const TinyRun run(folder.path(), overshooting({"train.max_steps=12"}));
  ASSERT_EQ(run.run(), 0) << run.log_text();
  const std::string step = best_line(run)["step"].dump();
  const TinyRun shorter(shorter_folder.path(), overshooting({"train.max_steps=" + step}));
  ASSERT_EQ(shorter.run(), 0) << shorter.log_text();
  EXPECT_EQ(weights_hash(run, "best"), weights_hash(shorter, "final"));
}

TEST(EarlyStopping, EndsTheRunAndSaysWhy) {
  const TemporaryFolder folder;
  const TinyRun run(folder.path(), overshooting({"eval.early_stopping_patience=2"}));
  ASSERT_EQ(run.run(), 0) << run.log_text();
  const std::int64_t best = best_line(run)["step"];
  const std::int64_t end = best + 4;
  ASSERT_LT(end, kTinySteps);
  EXPECT_EQ(run.metrics("eval").back()["step"], end);
  EXPECT_EQ(run.metrics("train").back()["step"], end);
  const std::string why = "the last 2 evaluations were no better than eval_held_out_loss";
  EXPECT_THAT(run.log_text(), HasSubstr("stopping early: " + why));
  EXPECT_THAT(run_record(run)["stopped_early"].get<std::string>(), HasSubstr(why));
  EXPECT_EQ(run_record(run)["finished_step"], end);
  EXPECT_EQ(exported_hash(run, end), weights_hash(run, "final"));

  EXPECT_EQ(run.run(), 0);
  EXPECT_THAT(run.log_text(), HasSubstr("is finished (" + std::to_string(end) + " steps, stopped early)"));
}

TEST(EarlyStopping, GoesOnWithMorePatience) {
  const TemporaryFolder folder, whole_folder;
  ASSERT_EQ(TinyRun(folder.path(), overshooting({"eval.early_stopping_patience=1"})).run(), 0);
  const TinyRun run(folder.path(), overshooting());
  ASSERT_EQ(run.run(), 0) << run.log_text();
  const TinyRun whole(whole_folder.path(), overshooting());
  ASSERT_EQ(whole.run(), 0) << whole.log_text();
  EXPECT_EQ(lasting_metrics(run), lasting_metrics(whole));
  EXPECT_EQ(weights_hash(run, "final"), weights_hash(whole, "final"));
  EXPECT_EQ(weights_hash(run, "best"), weights_hash(whole, "best"));
  EXPECT_EQ(run_record(run)["best"], run_record(whole)["best"]);
  EXPECT_FALSE(run_record(run).contains("stopped_early"));
}

class KilledAtBest : public testing::TestWithParam<const char*> {};

// Kills around each of five exports; then the run ends as if nothing had been.
TEST_P(KilledAtBest, LosesNothing) {
  const TemporaryFolder straight_folder, folder;
  const TinyRun straight(straight_folder.path(), improving());
  ASSERT_EQ(straight.run(), 0) << straight.log_text();
  ASSERT_EQ(best_line(straight)["step"], 10);
  const TinyRun run(folder.path(), improving());
  ASSERT_EQ(run.run({}, {std::string("DDRO_FAILPOINT=") + GetParam()}), -SIGKILL) << run.log_text();
  ASSERT_EQ(run.run(), 0) << run.log_text();
  EXPECT_EQ(lasting_metrics(run), lasting_metrics(straight));
  EXPECT_EQ(weights_hash(run, "best"), weights_hash(straight, "best"));
  EXPECT_EQ(record_of_best(run), record_of_best(straight));
  for (const char* left : {"best.new", "best.previous"})
    EXPECT_FALSE(std::filesystem::exists(run.output_dir() / left)) << left;
}

INSTANTIATE_TEST_SUITE_P(All, KilledAtBest,
                         testing::Values("best.written:1", "best.written:2", "best.written:3",
                                         "best.written:5", "best.in_place:1", "best.in_place:2",
                                         "best.in_place:3", "best.in_place:4", "best.in_place:5"));

// The evaluation at step 8 and its best/ are lost with the kill. At a rate that moves no weight there is no
// better one any more than that of step 6, which the checkpoint of step 6 has seen.
TEST(Best, ComesBackWhenTheRunGoesBehindIt) {
  const TemporaryFolder folder;
  const TinyRun run(folder.path(), improving({"checkpoint.async_save=false"}));
  ASSERT_EQ(run.run({}, {"DDRO_FAILPOINT=best.in_place:4"}), -SIGKILL) << run.log_text();
  ASSERT_EQ(record_of_best(run)["step"], 8);
  const TinyRun worse(folder.path(), improving({"optimizer.learning_rate=1.0e-30"}));
  ASSERT_EQ(worse.run(), 0) << worse.log_text();
  EXPECT_EQ(record_of_best(worse)["step"], 6);
  EXPECT_THAT(worse.log_text(), HasSubstr("best/ as read back gives eval_held_out_loss"));
}

// With a rate at which nothing gets better any more.
TEST(Best, IsNotComparedOnOtherSetsThanItWasFoundOn) {
  const TemporaryFolder folder;
  ASSERT_EQ(TinyRun(folder.path(), overshooting({"train.max_steps=8"})).run(), 0);
  const std::string other = fixture("tiny_run/pairs_train.jsonl").string();
  const TinyRun run(folder.path(), overshooting({"train.max_steps=10", "optimizer.learning_rate=3.0",
                                                 "data.eval_files={held_out: '" + other + "'}"}));
  ASSERT_EQ(run.run(), 0) << run.log_text();
  EXPECT_THAT(run.log_text(), HasSubstr("best/ is not evaluated again"));
}

TEST(Best, StartsLaterWhereItsWeightsAreNotKept) {
  const TemporaryFolder folder;
  ASSERT_EQ(TinyRun(folder.path(), {"eval.eval_steps=2", "train.max_steps=6"}).run(), 0);
  const TinyRun run(folder.path(), improving({"eval.greater_is_better=true"}));
  ASSERT_EQ(run.run(), 0) << run.log_text();
  EXPECT_THAT(run.log_text(), HasSubstr("there is no best/: the weights of the best evaluation"));
  EXPECT_FALSE(std::filesystem::exists(run.output_dir() / "best"));
}

class BestOfTwoRanks : public testing::TestWithParam<const char*> {};

TEST_P(BestOfTwoRanks, IsTheSame) {
  Settings settings = overshooting({"eval.early_stopping_patience=2", "model.dtype=float64"});
  const TemporaryFolder one_folder, folder;
  const TinyRun one(one_folder.path(), settings);
  ASSERT_EQ(one.run(), 0) << one.log_text();
  settings.push_back(std::string("distributed.shard=") + GetParam());
  const TinyRun two(folder.path(), settings);
  ASSERT_EQ(two.run(ranks(2)), 0) << two.log_text();
  EXPECT_EQ(record_of_best(two)["step"], record_of_best(one)["step"]);
  EXPECT_EQ(run_record(two)["finished_step"], run_record(one)["finished_step"]);
  EXPECT_THAT(two.log_text(), HasSubstr("best/ as read back gives eval_held_out_loss"));
}

INSTANTIATE_TEST_SUITE_P(Shards, BestOfTwoRanks, testing::Values("none", "optimizer"));

TEST(Best, IsAnAdapterOfARunThatTrainsOne) {
  const TemporaryFolder folder;
  const TinyRun run(folder.path(),
                    improving({"adapter.adapter_type=lora", "optimizer.learning_rate=1.0e-2"}));
  ASSERT_EQ(run.run(), 0) << run.log_text();
  EXPECT_TRUE(std::filesystem::exists(run.output_dir() / "best/adapter_model.safetensors"));
  EXPECT_THAT(run.log_text(), HasSubstr("best/ as read back gives eval_held_out_loss"));
}

TEST(Best, SaysWhatANarrowerTypeHasCost) {
  const TemporaryFolder folder;
  const TinyRun run(folder.path(), improving({"export.dtype=bfloat16"}));
  ASSERT_EQ(run.run(), 0) << run.log_text();
  EXPECT_THAT(run.log_text(), HasSubstr("best/ is stored in bfloat16, the run computed in float32"));
}

}  // namespace
}  // namespace ddro::test
