// `ddro-train train` as a user runs it, on a model that trains in a second.
#include <gmock/gmock.h>

#include <algorithm>
#include <csignal>

#include "ddro/base/hash.h"
#include "support/temporary_folder.h"
#include "tiny_run.h"

namespace ddro::test {
namespace {

using testing::HasSubstr;

TEST(Train, LearnsAndLeavesWhatTheInterfacePromises) {
  const TemporaryFolder folder;
  const TinyRun run(folder.path());
  ASSERT_EQ(run.run(), 0) << run.log_text();

  const std::vector<Json> steps = run.metrics("train");
  ASSERT_EQ(steps.size(), static_cast<size_t>(kTinySteps));
  for (size_t i = 0; i < steps.size(); ++i) EXPECT_EQ(steps[i]["step"], i + 1);
  EXPECT_NEAR(steps[0]["loss"].get<double>(), 2 * std::log(2.0), 1e-5);
  EXPECT_LT(steps[0]["log_ratio/abs_max"].get<double>(), 1e-4);
  EXPECT_LT(steps.back()["loss"].get<double>(), 0.9 * 2 * std::log(2.0));
  for (const char* name : {"grad_norm",
                           "learning_rate",
                           "epoch",
                           "num_tokens",
                           "rewards/chosen",
                           "rewards/rejected",
                           "rewards/accuracies",
                           "rewards/margins",
                           "logps/chosen",
                           "logps/rejected",
                           "ratio/auc",
                           "ratio/saturated",
                           "ratio/capped",
                           "ratio/chosen_mean",
                           "ratio/rejected_mean",
                           "ratio/mixture_mean",
                           "ratio/mixture_mean_se",
                           "log_ratio/chosen",
                           "log_ratio/rejected",
                           "step_time_s",
                           "peak_memory_bytes",
                           "tokens_per_second",
                           "mfu",
                           "data_wait_s"}) {
    EXPECT_TRUE(steps[3].contains(name)) << name;
  }
  EXPECT_DOUBLE_EQ(steps.back()["epoch"].get<double>(), 4.0);

  const std::vector<Json> evals = run.metrics("eval");
  ASSERT_EQ(evals.size(), 5u);  // steps 0, 7, 14, 21, 28
  EXPECT_EQ(evals.front()["step"], 0);
  EXPECT_EQ(evals.back()["step"], kTinySteps);
  EXPECT_GT(evals.back()["eval_held_out_ratio/auc"].get<double>(), 0.8);
  EXPECT_GT(evals.back()["eval_held_out_rewards/accuracies"].get<double>(), 0.8);

  for (const char* file :
       {"config.yaml", "run.json", "dropped.jsonl", "final/config.json", "final/model.safetensors",
        "final/tokenizer.json", "checkpoints/step_000028/manifest.json"}) {
    EXPECT_TRUE(std::filesystem::exists(run.output_dir() / file)) << file;
  }
  size_t checkpoints = 0;
  for (const auto& entry : std::filesystem::directory_iterator(run.output_dir() / "checkpoints")) {
    EXPECT_THAT(entry.path().filename().string(), testing::StartsWith("step_"));
    EXPECT_EQ(entry.path().extension(), "");
    ++checkpoints;
  }
  EXPECT_EQ(checkpoints, 3u);  // save_total_limit
}

// An evaluation on the very rows that are trained on: they become more likely as a whole.
TEST(Train, SaysWhenTheMixtureDoesNotHold) {
  const std::string rows = fixture("tiny_run/pairs_train.jsonl").string();
  const TemporaryFolder folder;
  const TinyRun run(folder.path(), {"data.eval_files={seen: " + rows + "}", "train.num_train_epochs=12",
                                    "optimizer.learning_rate=1.0e-2"});
  ASSERT_EQ(run.run(), 0) << run.log_text();
  const std::string log = run.log_text();
  const size_t said = log.find("eval seen: ratio/mixture_mean is ");
  ASSERT_NE(said, std::string::npos) << log;
  EXPECT_EQ(log.find("eval seen: ratio/mixture_mean is ", said + 1), std::string::npos) << "once is enough";
  const Json last = run.metrics("eval").back();
  EXPECT_GT(last["eval_seen_ratio/mixture_mean"].get<double>(), 1);
}

TEST(Train, TwoRunsGiveTheSameBits) {
  const TemporaryFolder first;
  const TemporaryFolder second;
  const TinyRun a(first.path());
  const TinyRun b(second.path());
  ASSERT_EQ(a.run(), 0);
  ASSERT_EQ(b.run(), 0);
  EXPECT_EQ(hash_file(a.output_dir() / "final/model.safetensors"),
            hash_file(b.output_dir() / "final/model.safetensors"));
  EXPECT_EQ(lasting_metrics(a), lasting_metrics(b));
}

TEST(Train, SftTakesRowsWithoutALabelAsPreferred) {
  const TemporaryFolder folder;
  std::string with, without;
  for (Json row : json_lines(fixture("tiny_run/labels_train.jsonl"))) {
    if (!row["label"].get<bool>()) continue;
    with += row.dump() + "\n";
    row.erase("label");
    without += row.dump() + "\n";
  }
  const auto run_on = [&](const std::string& name, const std::string& rows) {
    std::filesystem::create_directory(folder / name);
    const std::string file = folder.write(name + ".jsonl", rows).string();
    return TinyRun(folder / name, {"objective.loss_type=sft", "eval.eval_strategy=no", "train.max_steps=2",
                                   "optimizer.warmup_ratio=0", "data.train_files=['" + file + "']"});
  };
  const TinyRun labelled = run_on("labelled", with), unlabelled = run_on("unlabelled", without);
  ASSERT_EQ(labelled.run(), 0) << labelled.log_text();
  ASSERT_EQ(unlabelled.run(), 0) << unlabelled.log_text();
  EXPECT_THAT(unlabelled.log_text(), HasSubstr("labels without a label (preferred ones to sft)"));
  EXPECT_THAT(unlabelled.log_text(), testing::Not(HasSubstr("hold one class only")));
  EXPECT_EQ(hash_file(unlabelled.output_dir() / "final/model.safetensors"),
            hash_file(labelled.output_dir() / "final/model.safetensors"));
}

TEST(Train, AFinishedRunSaysSoAndNeverRefusesAFolderThatHoldsARun) {
  const TemporaryFolder folder;
  const TinyRun run(folder.path(), {"train.max_steps=2"});
  ASSERT_EQ(run.run(), 0);
  const std::string weights = hash_file(run.output_dir() / "final/model.safetensors");
  EXPECT_EQ(run.run(), 0);
  EXPECT_THAT(run.log_text(), HasSubstr("is finished"));
  EXPECT_EQ(run.run({"--resume", "never"}), 2);
  EXPECT_THAT(run.log_text(), HasSubstr("holds a run"));
  EXPECT_EQ(hash_file(run.output_dir() / "final/model.safetensors"), weights);
}

TEST(Train, ALongerScheduleGoesOnFromTheFinishedRun) {
  const TemporaryFolder folder;
  ASSERT_EQ(TinyRun(folder.path(), {"train.max_steps=2"}).run(), 0);
  const TinyRun longer(folder.path(), {"train.max_steps=4"});
  ASSERT_EQ(longer.run(), 0);
  EXPECT_THAT(longer.log_text(), HasSubstr("total_steps: 2 -> 4"));
  EXPECT_EQ(longer.metrics("train").size(), 4u);
}

TEST(Train, DryRunWritesNothing) {
  const TemporaryFolder folder;
  const TinyRun run(folder.path());
  EXPECT_EQ(run.run({"--dry-run"}), 0);
  EXPECT_FALSE(std::filesystem::exists(run.output_dir()));
}

std::vector<std::string> checkpoints_of(const TinyRun& run) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(run.output_dir() / "checkpoints"))
    names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

// 7 steps an epoch.
TEST(SaveStrategy, SavesAtTheEndOfEachEpochAndOfTheRun) {
  const TemporaryFolder folder;
  const TinyRun run(folder.path(), {"checkpoint.save_strategy=epoch", "train.num_train_epochs=2.5",
                                    "eval.eval_strategy=epoch", "checkpoint.save_total_limit=10"});
  ASSERT_EQ(run.run(), 0) << run.log_text();
  EXPECT_THAT(checkpoints_of(run), testing::ElementsAre("step_000007", "step_000014", "step_000018"));
  std::vector<int> evaluated;
  for (const Json& line : run.metrics("eval")) evaluated.push_back(line["step"].get<int>());
  EXPECT_THAT(evaluated, testing::ElementsAre(0, 7, 14, 18));
}

TEST(SaveStrategy, NoSavesAtTheEndAndWhereTheRunIsStopped) {
  const TemporaryFolder folder, whole_folder;
  const std::vector<std::string> settings = {"checkpoint.save_strategy='no'"};
  const TinyRun whole(whole_folder.path(), settings);
  ASSERT_EQ(whole.run(), 0) << whole.log_text();
  EXPECT_THAT(checkpoints_of(whole), testing::ElementsAre("step_000028"));
  const TinyRun run(folder.path(), settings);
  BackgroundProgram program(run.arguments(), run.log().string());
  ASSERT_TRUE(program.wait_for_output("step 5/", 60)) << program.output();
  program.send(SIGTERM);
  ASSERT_EQ(program.wait(60).code, 75) << program.output();
  EXPECT_EQ(checkpoints_of(run).size(), 1u);
  ASSERT_EQ(run.run(), 0) << run.log_text();
  EXPECT_EQ(lasting_metrics(run), lasting_metrics(whole));
  EXPECT_EQ(hash_file(run.output_dir() / "final/model.safetensors"),
            hash_file(whole.output_dir() / "final/model.safetensors"));
}

struct Variant {
  const char* name;
  std::vector<std::string> overrides;  // @ stands for the fixture's folder
};

class Variants : public testing::TestWithParam<Variant> {};

TEST_P(Variants, TrainAndLearn) {
  const TemporaryFolder folder;
  const std::string base = fixture("tiny_run/model").parent_path().string();
  std::vector<std::string> overrides = GetParam().overrides;
  for (std::string& override : overrides) {
    const size_t at = override.find('@');
    if (at != std::string::npos) override.replace(at, 1, base);
  }
  overrides.insert(overrides.begin(), "optimizer.learning_rate=1.0e-3");
  const TinyRun run(folder.path(), overrides);
  ASSERT_EQ(run.run(), 0) << run.log_text();
  const std::vector<Json> evals = run.metrics("eval");
  ASSERT_GE(evals.size(), 2u);
  EXPECT_LT(evals.back()["eval_held_out_loss"].get<double>(),
            evals.front()["eval_held_out_loss"].get<double>());
}

INSTANTIATE_TEST_SUITE_P(
    All, Variants,
    testing::Values(
        Variant{"rdro", {"objective.loss_type=rdro"}}, Variant{"dpo", {"objective.loss_type=dpo"}},
        Variant{"sft", {"objective.loss_type=sft"}}, Variant{"hinge", {"objective.loss_type=hinge"}},
        Variant{"simpo", {"objective.loss_type=simpo", "objective.beta=2"}},
        Variant{"bco", {"objective.loss_type=bco"}}, Variant{"kto", {"objective.loss_type=kto"}},
        Variant{"kto_unpaired", {"objective.loss_type=kto", "data.train_files=[@/labels_train.jsonl]"}},
        Variant{"several",
                {"objective.loss_type=[sigmoid, bco_pair, sft]", "objective.loss_weights=[0.8, 0.2, 1]"}},
        Variant{"growing_cap", {"objective.max_weight=auto"}},
        Variant{"ceiling", {"objective.stabilizer=ceiling"}},
        Variant{"nnbd_unpaired", {"objective.stabilizer=nnbd", "data.train_files=[@/labels_train.jsonl]"}},
        Variant{"pooled_unpaired",
                {"data.train_files=[@/labels_train.jsonl]", "objective.class_reduction=pooled"}},
        Variant{"kl_weighted_strings",
                {"objective.generator=kl", "data.train_files=[@/strings_train.jsonl]",
                 "optimizer.learning_rate=1.0e-4"}},
        Variant{"recomputation", {"model.gradient_checkpointing=true"}},
        Variant{"bfloat16", {"model.dtype=bfloat16"}}, Variant{"float64", {"model.dtype=float64"}},
        Variant{"linear_schedule", {"optimizer.lr_scheduler_type=linear", "eval.eval_strategy=epoch"}}),
    [](const testing::TestParamInfo<Variant>& entry) { return entry.param.name; });

}  // namespace
}  // namespace ddro::test
