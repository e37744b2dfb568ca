// What a run leaves is what it measured, and a setting that changes nothing is not passed over in silence.
#include <gmock/gmock.h>

#include <cmath>

#include "support/run_program.h"
#include "support/temporary_folder.h"
#include "tiny_run.h"

namespace ddro::test {
namespace {

using testing::HasSubstr;
using testing::Not;

// Each is refused for a run that has ended: it would have made another one.
class AnotherRun : public testing::TestWithParam<std::pair<const char*, const char*>> {};

TEST_P(AnotherRun, IsNotTheOneThatHasEnded) {
  const TemporaryFolder folder;
  ASSERT_EQ(TinyRun(folder.path(), {"train.max_steps=3"}).run(), 0);
  const auto& [override, change] = GetParam();
  const TinyRun other(folder.path(), {"train.max_steps=3", override});
  EXPECT_EQ(other.run(), 2);
  EXPECT_THAT(other.log_text(),
              HasSubstr("[resume] the run has ended, with another configuration (" + std::string(change)));
  EXPECT_THAT(other.log_text(), Not(HasSubstr("is finished")));
}

INSTANTIATE_TEST_SUITE_P(
    All, AnotherRun,
    testing::Values(std::pair{"objective.loss_type=ipo", "loss: "},
                    std::pair{"train.seed=7", "train.seed: 42 -> 7)"},
                    std::pair{"optimizer.learning_rate=1.0e-5", "optimizer.learning_rate: 0.003 -> 1.0e-5)"},
                    std::pair{"optimizer.lr_scheduler_type=linear",
                              "optimizer.lr_scheduler_type: cosine -> linear)"},
                    std::pair{"optimizer.weight_decay=0.1", "optimizer.weight_decay: 0 -> 0.1)"},
                    std::pair{"data.max_length=100", "data.max_length: 128 -> 100)"},
                    std::pair{"train.max_steps=2", "total_steps: 3 -> 2)"}));

TEST(SameRun, AnEndedOneWarnsOfWhatHasNoEffectAnyMore) {
  const TemporaryFolder folder;
  ASSERT_EQ(TinyRun(folder.path(), {"train.max_steps=2"}).run(), 0);
  const TinyRun again(folder.path(), {"train.max_steps=2", "checkpoint.save_steps=50"});
  EXPECT_EQ(again.run(), 0);
  EXPECT_THAT(again.log_text(), HasSubstr("without effect: checkpoint.save_steps: 3 -> 50"));
  EXPECT_THAT(again.log_text(), HasSubstr("is finished (2 steps)"));
}

TEST(SameRun, DoesNotExportMoreStepsThanItHas) {
  const TemporaryFolder folder;
  const TinyRun longer(folder.path(), {"train.max_steps=4"});
  ASSERT_EQ(longer.run(), 0);
  std::filesystem::remove_all(longer.output_dir() / "final");
  const TinyRun shorter(folder.path(), {"train.max_steps=3"});
  EXPECT_EQ(shorter.run(), 2);
  EXPECT_THAT(shorter.log_text(), HasSubstr("is of step 4, the run now ends at step 3"));
  EXPECT_FALSE(std::filesystem::exists(longer.output_dir() / "final"));
}

TEST(SameRun, LogsEveryKeyThatChangesAtAResume) {
  const TemporaryFolder folder;
  const std::string schedule = "optimizer.lr_scheduler_type=cosine_with_min_lr";
  ASSERT_EQ(TinyRun(folder.path(),
                    {"train.max_steps=2", schedule, "optimizer.lr_scheduler_kwargs={min_lr_rate: 0.1}"})
                .run(),
            0);
  const TinyRun run(folder.path(), {"train.max_steps=4", schedule,
                                    "optimizer.lr_scheduler_kwargs={min_lr_rate: 0.5}", "eval.eval_steps=2"});
  ASSERT_EQ(run.run(), 0) << run.log_text();
  for (const char* change : {"optimizer.lr_scheduler_kwargs: {min_lr_rate: 0.1} -> {min_lr_rate: 0.5}",
                             "eval.eval_steps: 7 -> 2", "total_steps: 2 -> 4"})
    EXPECT_THAT(run.log_text(), HasSubstr(std::string("resuming with ") + change));
}

TEST(SameRun, NamesACheckpointOfHuggingFacesTrainer) {
  const TemporaryFolder folder;
  const TinyRun run(folder.path());
  const auto foreign = folder.path() / "checkpoint-12";
  std::filesystem::create_directories(foreign);
  write_file_atomic(foreign / "trainer_state.json", "{}");
  EXPECT_EQ(run.run({"--resume", foreign.string()}), 2);
  EXPECT_THAT(run.log_text(), HasSubstr("is a checkpoint of Hugging Face's Trainer (trainer_state.json)"));
}

// The base model in each type that models are published in, trained in float32.
class Bases : public testing::TestWithParam<const char*> {};

TEST_P(Bases, AreExportedAsTheyWereEvaluated) {
  const TemporaryFolder folder;
  const std::string program = environment_path("DDRO_TRAIN").string();
  const std::string base = (folder.path() / "base").string();
  ASSERT_EQ(run_program(
                {program, "export", fixture("tiny_run/model").string(), "--out", base, "--dtype", GetParam()})
                .exit_code,
            0);
  // A rate at which rounding to bfloat16 would lose most of the training.
  const TinyRun run(folder.path(),
                    {"model.model_name_or_path='" + base + "'", "optimizer.learning_rate=2.0e-5"});
  ASSERT_EQ(run.run(), 0) << run.log_text();
  EXPECT_THAT(run.log_text(), HasSubstr("final/ as read back gives what was trained in every bit"));
  EXPECT_EQ(
      read_json_file((run.output_dir() / "final/config.json").string(), ErrorKind::kModel)["torch_dtype"],
      "float32");

  const ProgramResult eval = run_program(
      {program, "eval", run.config().string(), "--set", "model.model_name_or_path='" + base + "'"});
  ASSERT_EQ(eval.exit_code, 0) << eval.err;
  const Json last = run.metrics("eval").back();
  const Json evaluated = Json::parse(eval.out);
  for (const auto& [name, value] : evaluated.items()) {
    if (name == "model") continue;
    EXPECT_EQ(value, last[name]) << name;
  }
  EXPECT_GT(last["eval_held_out_log_ratio/abs_max"].get<double>(), 0.01);
}

INSTANTIATE_TEST_SUITE_P(All, Bases, testing::Values("float32", "bfloat16", "float16"));

TEST(FinalModel, SaysWhatANarrowerTypeCosts) {
  for (const char* strategy : {"steps", "no"}) {
    const TemporaryFolder folder;
    const TinyRun run(folder.path(), {"train.max_steps=6", "export.dtype=bfloat16",
                                      std::string("eval.eval_strategy='") + strategy + "'"});
    ASSERT_EQ(run.run(), 0) << run.log_text();
    EXPECT_THAT(run.log_text(),
                testing::ContainsRegex("final/ is stored in bfloat16, the run computed in float32: its "
                                       "log-probabilities are [0-9.e-]+ nats a completion away"));
    EXPECT_EQ(run.log_text().find("the loss on held_out changes by") == std::string::npos,
              std::string(strategy) == "no");
    EXPECT_EQ(
        read_json_file((run.output_dir() / "final/config.json").string(), ErrorKind::kModel)["torch_dtype"],
        "bfloat16");
  }
}

TEST(FinalModel, OfARunInBfloat16IsBfloat16) {
  const TemporaryFolder folder;
  const TinyRun run(folder.path(), {"train.max_steps=4", "model.dtype=bfloat16"});
  ASSERT_EQ(run.run(), 0) << run.log_text();
  EXPECT_THAT(run.log_text(), HasSubstr("final/ as read back gives what was trained"));
  EXPECT_EQ(
      read_json_file((run.output_dir() / "final/config.json").string(), ErrorKind::kModel)["torch_dtype"],
      "bfloat16");
}

// A copy of the tiny model's folder, one of whose JSON files `change` has changed.
class ChangedModel {
 public:
  explicit ChangedModel(const std::filesystem::path& folder) : path_(folder / "changed") {
    std::filesystem::copy(fixture("tiny_run/model"), path_, std::filesystem::copy_options::recursive);
  }
  void set(const char* file, const char* key, const Json& value) const {
    const std::filesystem::path path = path_ / file;
    Json json = read_json_file(path.string(), ErrorKind::kModel);
    json[key] = value;
    write_file_atomic(path, json.dump());
  }
  const std::filesystem::path& path() const { return path_; }
  std::string setting() const { return "model.model_name_or_path='" + path_.string() + "'"; }

 private:
  std::filesystem::path path_;
};

TEST(FinalModel, HasTheTemplateThatWasTrainedWith) {
  const TemporaryFolder folder;
  const ChangedModel base(folder.path());
  base.set("tokenizer_config.json", "chat_template", "{{ 'of the base' }}");
  std::filesystem::create_directory(base.path() / "additional_chat_templates");
  write_file_atomic(base.path() / "additional_chat_templates/tool_use.jinja", "of the base");
  const std::string other = read_file(base.path() / "chat_template.jinja") + "{# another #}";
  write_file_atomic(folder.path() / "other.jinja", other);
  const TinyRun run(folder.path(), {"train.max_steps=2", base.setting(),
                                    "data.chat_template='" + (folder.path() / "other.jinja").string() + "'"});
  ASSERT_EQ(run.run(), 0) << run.log_text();
  for (const char* place : {"final", "checkpoints/step_000002"}) {
    const auto saved = run.output_dir() / place;
    EXPECT_EQ(read_file(saved / "chat_template.jinja"), other) << place;
    EXPECT_THAT(read_file(saved / "tokenizer_config.json"), Not(HasSubstr("of the base"))) << place;
    EXPECT_FALSE(std::filesystem::exists(saved / "additional_chat_templates")) << place;
  }
}

TEST(FinalModel, HasEveryFileOfItsBaseThatDefinesInference) {
  const TemporaryFolder folder;
  const ChangedModel base(folder.path());
  std::filesystem::create_directory(base.path() / "additional_chat_templates");
  write_file_atomic(base.path() / "additional_chat_templates/tool_use.jinja", "{{ 'tools' }}");
  write_file_atomic(base.path() / "preprocessor_config.json", "{}");
  const TinyRun run(folder.path(), {"train.max_steps=2", base.setting()});
  ASSERT_EQ(run.run(), 0) << run.log_text();
  for (const char* file : {"additional_chat_templates/tool_use.jinja", "preprocessor_config.json"})
    EXPECT_EQ(read_file(run.output_dir() / "final" / file), read_file(base.path() / file)) << file;
}

// Bases of Qwen: the configuration ends texts, the template ends turns with another token.
TEST(FinalModel, EndsATurnAsItWasTrained) {
  const TemporaryFolder folder;
  const ChangedModel base(folder.path());
  base.set("config.json", "eos_token_id", 0);
  base.set("generation_config.json", "eos_token_id", 0);
  base.set("tokenizer_config.json", "eos_token", "<|endoftext|>");
  const TinyRun refused(folder.path(), {"train.max_steps=2", base.setting()});
  EXPECT_EQ(refused.run(), 2);
  EXPECT_THAT(refused.log_text(), HasSubstr("set model.eos_token to \"<|im_end|>\""));

  const TinyRun run(folder.path(), {"train.max_steps=2", base.setting(), "model.eos_token='<|im_end|>'"});
  ASSERT_EQ(run.run(), 0) << run.log_text();
  const auto saved = [&](const char* file) {
    return read_json_file((run.output_dir() / "final" / file).string(), ErrorKind::kModel);
  };
  EXPECT_EQ(saved("config.json")["eos_token_id"], 2);
  EXPECT_EQ(saved("generation_config.json")["eos_token_id"], Json({2, 0}));
  EXPECT_EQ(saved("tokenizer_config.json")["eos_token"], "<|im_end|>");
  EXPECT_EQ(TinyRun(folder.path(), {"train.max_steps=2", base.setting(), "model.eos_token='no token'"}).run(),
            2);
}

TEST(ShortRun, ComputesReferenceValuesOfItsOwnRowsOnly) {
  const TemporaryFolder folder;
  const TinyRun run(folder.path(), {"train.max_steps=2", "eval.eval_strategy='no'"});
  ASSERT_EQ(run.run(), 0) << run.log_text();
  EXPECT_THAT(run.log_text(),
              HasSubstr("reference: done, 32 log-probabilities written"));  // 2 steps of 8 pairs
}

TEST(Epochs, MayEndWithinOne) {
  const TemporaryFolder folder;
  const TinyRun half(folder.path(), {"train.num_train_epochs=0.5"});
  ASSERT_EQ(half.run(), 0) << half.log_text();
  EXPECT_EQ(half.metrics("train").size(), 4u);  // of 7
  EXPECT_EQ(TinyRun(folder.path(), {"train.num_train_epochs=0"}).run(), 2);
}

class Screens : public testing::TestWithParam<const char*> {};

TEST_P(Screens, ShowNoNanInASoundRun) {
  const TemporaryFolder folder;
  const TinyRun run(folder.path(), {"train.max_steps=3", std::string("objective.loss_type=") + GetParam()});
  ASSERT_EQ(run.run(), 0) << run.log_text();
  EXPECT_THAT(run.log_text(), HasSubstr("step 3/3  loss "));
  EXPECT_THAT(run.log_text(), HasSubstr("eval held_out at step 3  loss "));
  EXPECT_THAT(run.log_text(), Not(HasSubstr("nan")));
  for (const Json& line : run.metrics("train")) {
    for (const auto& [name, value] : line.items()) EXPECT_FALSE(value.is_null()) << name;
  }
}

INSTANTIATE_TEST_SUITE_P(All, Screens, testing::Values("ddro", "simpo", "orpo", "cpo", "sft", "kto"));

TEST(Warmup, ThatTakesTheWholeRunIsSaid) {
  const TemporaryFolder folder;
  const TinyRun run(folder.path(), {"train.max_steps=1"});
  ASSERT_EQ(run.run({"--dry-run"}), 0);
  EXPECT_THAT(run.log_text(), HasSubstr("the warm-up takes all of the run's steps (1 of 1)"));
  EXPECT_THAT(run.log_text(), HasSubstr("nothing is trained"));
  const TinyRun without(folder.path(), {"train.max_steps=1", "optimizer.warmup_ratio=0"});
  ASSERT_EQ(without.run({"--dry-run"}), 0);
  EXPECT_THAT(without.log_text(), Not(HasSubstr("warm-up takes")));
}

// A reference of as many ids that mean other tokens.
TEST(Reference, OfAnotherTokenizerIsRefused) {
  const TemporaryFolder folder;
  const ChangedModel other(folder.path());
  Json model = read_json_file((other.path() / "tokenizer.json").string(), ErrorKind::kModel)["model"];
  std::swap(model["vocab"]["a"], model["vocab"]["b"]);
  other.set("tokenizer.json", "model", model);
  const TinyRun run(folder.path(), {"reference.model_name_or_path='" + other.path().string() + "'"});
  EXPECT_EQ(run.run({"--dry-run"}), 3);
  EXPECT_THAT(run.log_text(), HasSubstr("has another tokenizer: id"));
}

}  // namespace
}  // namespace ddro::test
