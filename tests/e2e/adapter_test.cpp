// Runs that train an adapter, and every command on what they leave.
#include <gmock/gmock.h>

#include <csignal>

#include "ddro/base/hash.h"
#include "ddro/base/safetensors.h"
#include "support/run_program.h"
#include "support/temporary_folder.h"
#include "tiny_run.h"

namespace ddro::test {
namespace {

using testing::HasSubstr;
using testing::Not;
namespace fs = std::filesystem;

std::vector<std::string> lora(std::vector<std::string> more = {}) {
  more.insert(more.begin(), {"adapter.adapter_type=lora", "adapter.r=4", "adapter.lora_alpha=8",
                             "optimizer.learning_rate=1.0e-2"});
  return more;
}

std::string base() { return fixture("tiny_run/model").string(); }
std::string pairs() { return fixture("tiny_run/pairs_eval.jsonl").string(); }
std::string final_model(const TinyRun& run) { return (run.output_dir() / "final").string(); }
std::string final_hash(const TinyRun& run) {
  return hash_file(run.output_dir() / "final/adapter_model.safetensors");
}

// The run that most tests look at, made once.
struct Trained {
  TemporaryFolder folder;
  TinyRun run{folder.path(), lora()};
  int code = run.run();
};

const TinyRun& trained() {
  static const Trained instance;
  if (instance.code != 0) throw std::runtime_error("the run failed: " + instance.run.log_text());
  return instance.run;
}

// stdout of the program, which has to succeed.
std::string output_of(const std::vector<std::string>& arguments) {
  const ProgramResult result = ddro_train(arguments);
  EXPECT_EQ(result.exit_code, 0) << result.err;
  return result.out;
}

std::vector<double> scores(const std::string& model) {
  std::vector<double> values;
  const TemporaryFolder scratch;
  const std::string out = (scratch / "scores.jsonl").string();
  output_of({"score", "--model", model, "--data", pairs(), "--out", out});
  for (const Json& line : json_lines(out)) values.push_back(line["logp"].get<double>());
  return values;
}

void expect_near(const std::vector<double>& got, const std::vector<double>& expected, double tolerance) {
  ASSERT_EQ(got.size(), expected.size());
  for (size_t i = 0; i < got.size(); ++i) EXPECT_NEAR(got[i], expected[i], tolerance) << i;
}

TEST(AdapterRun, LearnsAndLeavesAPeftFolder) {
  const TinyRun& run = trained();
  const std::vector<Json> steps = run.metrics("train");
  EXPECT_LT(steps[0]["log_ratio/abs_max"].get<double>(), 1e-4);
  const std::vector<Json> evals = run.metrics("eval");
  EXPECT_LT(evals.back()["eval_held_out_loss"].get<double>(),
            0.9 * evals.front()["eval_held_out_loss"].get<double>());
  EXPECT_THAT(run.log_text(), HasSubstr("reference: the base model, with the adapter off"));
  EXPECT_THAT(run.log_text(), HasSubstr("final/ as read back gives what was trained in every bit"));
  EXPECT_EQ(Json::parse(read_file(run.output_dir() / "run.json"))["reference"],
            "the base model, with the adapter off");
  for (const char* file :
       {"adapter_config.json", "adapter_model.safetensors", "tokenizer.json", "chat_template.jinja"})
    EXPECT_TRUE(fs::exists(run.output_dir() / "final" / file)) << file;
  for (const char* file : {"config.json", "model.safetensors"})
    EXPECT_FALSE(fs::exists(run.output_dir() / "final" / file)) << file;
}

// Of 2 layers with 7 products each: what is trained, and two moments of that.
TEST(AdapterRun, KeepsTheAdapterAloneInItsCheckpoints) {
  const fs::path checkpoint = trained().output_dir() / "checkpoints/step_000028";
  EXPECT_EQ(SafetensorsFile(checkpoint / "adapter_model.safetensors").tensors().size(), 2u * 7 * 2);
  EXPECT_EQ(SafetensorsFile(checkpoint / "optimizer.safetensors").tensors().size(), 2u * 2 * 7 * 2 + 1);
  EXPECT_FALSE(fs::exists(checkpoint / "model.safetensors"));
  expect_near(scores(checkpoint.string()), scores(final_model(trained())), 0);
}

TEST(AdapterRun, GoesOnWithTheSameBits) {
  for (const int signal : {SIGTERM, SIGKILL}) {
    const TemporaryFolder folder;
    const TinyRun run(folder.path(), lora());
    {
      BackgroundProgram program(run.arguments(), run.log().string());
      ASSERT_TRUE(program.wait_for_output("step 11/", 60)) << program.output();
      program.send(signal);
      program.wait(60);
    }
    ASSERT_EQ(run.run(), 0) << run.log_text();
    EXPECT_THAT(run.log_text(), HasSubstr("resuming from"));
    EXPECT_EQ(final_hash(run), final_hash(trained()));
    EXPECT_EQ(lasting_metrics(run), lasting_metrics(trained()));
  }
}

TEST(AdapterRun, IsAnotherRunWithAnotherAdapter) {
  const TemporaryFolder folder;
  ASSERT_EQ(TinyRun(folder.path(), lora({"train.max_steps=3"})).run(), 0);
  const TinyRun other(folder.path(), lora({"train.max_steps=4", "adapter.r=8"}));
  EXPECT_EQ(other.run(), 2);
  EXPECT_THAT(other.log_text(), HasSubstr("[resume] the run's adapter has changed since the checkpoint"));
  EXPECT_THAT(other.log_text(), Not(HasSubstr("--allow-change")));
}

// A cache that a full run has filled with the base's log-probabilities lacks nothing.
TEST(AdapterReference, IsTheBase) {
  const TemporaryFolder folder;
  const std::string cache = "reference.ref_cache_dir=" + (folder / "cache").string();
  fs::create_directory(folder / "full");
  ASSERT_EQ(TinyRun(folder / "full", {"train.max_steps=7", cache}).run(), 0);
  fs::create_directory(folder / "lora");
  const TinyRun run(folder / "lora", lora({"train.max_steps=7", cache}));
  ASSERT_EQ(run.run(), 0) << run.log_text();
  EXPECT_THAT(run.log_text(), HasSubstr("of the cached log-probabilities computed again, all fit"));
  EXPECT_THAT(run.log_text(), Not(HasSubstr("log-probabilities written")));
}

TEST(AdapterReference, MayStayInMemory) {
  const TemporaryFolder folder;
  const TinyRun run(folder.path(), lora({"reference.precompute_ref_log_probs=false"}));
  ASSERT_EQ(run.run(), 0) << run.log_text();
  EXPECT_EQ(run.metrics("train")[0]["log_ratio/abs_max"], 0);  // the same computation, in every bit
  const auto loss = [](const TinyRun& of) {
    return of.metrics("eval").back()["eval_held_out_loss"].get<double>();
  };
  EXPECT_NEAR(loss(run), loss(trained()), 1e-3);
}

TEST(AdapterCommands, TakeTheFolder) {
  const std::string model = final_model(trained());
  const Json metrics = Json::parse(output_of({"eval", trained().config().string()}));
  EXPECT_EQ(metrics["eval_held_out_loss"], trained().metrics("eval").back()["eval_held_out_loss"]);
  EXPECT_EQ(metrics["model"], model);
  EXPECT_THAT(output_of({"inspect", "model", model}),
              HasSubstr("adapter     lora of rank 4 on 14 linear layers, on the base in"));
  const std::string lines =
      output_of({"generate", "--model", model, "--prompts", pairs(), "--max-new-tokens", "4"});
  EXPECT_EQ(std::count(lines.begin(), lines.end(), '\n'), 16);
}

// As PEFT alone saves it: without tokenizer and template.
TEST(AdapterCommands, TakeTheTextOfTheBaseWhereTheFolderHasNone) {
  const TemporaryFolder folder;
  for (const char* file : {"adapter_config.json", "adapter_model.safetensors"})
    fs::copy_file(trained().output_dir() / "final" / file, folder / file);
  expect_near(scores(folder.path().string()), scores(final_model(trained())), 0);
}

TEST(AdapterCommands, ExportItSeparateAndMerged) {
  const TemporaryFolder folder;
  const std::string checkpoint = (trained().output_dir() / "checkpoints/step_000028").string();
  const std::string separate = (folder / "separate").string(), merged = (folder / "merged").string();
  output_of({"export", checkpoint, "--out", separate});
  output_of({"export", checkpoint, "--out", merged, "--adapter", "merged"});
  EXPECT_TRUE(fs::exists(folder / "merged/config.json"));
  EXPECT_FALSE(fs::exists(folder / "merged/adapter_config.json"));
  const std::vector<double> expected = scores(final_model(trained()));
  expect_near(scores(separate), expected, 0);
  expect_near(scores(merged), expected, 1e-3);
}

// The chain as its users have it: log-probabilities of final/ by peft on transformers.
TEST(AdapterCommands, ScoreWhatPeftScores) {
  const TemporaryFolder folder;
  const std::string out = (folder / "scores.jsonl").string();
  output_of({"score", "--model", final_model(trained()), "--data", pairs(), "--out", out});
  const ProgramResult result = run_program({source_path(".venv/bin/python").string(),
                                            source_path("tests/e2e/check_scores.py").string(),
                                            final_model(trained()), pairs(), out, "1e-3"});
  EXPECT_EQ(result.exit_code, 0) << result.out << result.err;
}

TEST(AdapterStart, GoesOnFromAFolder) {
  const TemporaryFolder folder;
  const TinyRun run(folder.path(),
                    {"adapter.adapter_name_or_path=" + final_model(trained()), "train.num_train_epochs=1"});
  ASSERT_EQ(run.run(), 0) << run.log_text();
  EXPECT_THAT(run.log_text(),
              HasSubstr("reference: the base model with the adapter that the run starts from"));
  EXPECT_LT(run.metrics("train")[0]["log_ratio/abs_max"].get<double>(), 1e-4);
  EXPECT_NE(final_hash(run), final_hash(trained()));
  const Json config = Json::parse(read_file(run.output_dir() / "final/adapter_config.json"));
  EXPECT_EQ(config["r"], 4);
  EXPECT_EQ(config["base_model_name_or_path"], base());
}

// As the model, without an `adapter` section, all weights of what it computes are trained.
TEST(AdapterStart, TrainsTheMergedModelInFull) {
  const TemporaryFolder folder;
  const TinyRun run(folder.path(), {"model.model_name_or_path=" + final_model(trained()), "train.max_steps=1",
                                    "optimizer.warmup_ratio=1"});  // of a rate of 0: nothing moves
  ASSERT_EQ(run.run(), 0) << run.log_text();
  EXPECT_TRUE(fs::exists(run.output_dir() / "final/model.safetensors"));
  expect_near(scores(final_model(run)), scores(final_model(trained())), 1e-3);
}

struct AdapterVariant {
  const char* name;
  std::vector<std::string> overrides;
  const char* verified = "gives what was trained in every bit";
};

class AdapterVariants : public testing::TestWithParam<AdapterVariant> {};

TEST_P(AdapterVariants, TrainAndLearn) {
  const TemporaryFolder folder;
  const TinyRun run(folder.path(), lora(GetParam().overrides));
  ASSERT_EQ(run.run(), 0) << run.log_text();
  const std::vector<Json> evals = run.metrics("eval");
  EXPECT_LT(evals.back()["eval_held_out_loss"].get<double>(),
            evals.front()["eval_held_out_loss"].get<double>());
  EXPECT_THAT(run.log_text(), HasSubstr(GetParam().verified));
}

INSTANTIATE_TEST_SUITE_P(
    All, AdapterVariants,
    testing::Values(AdapterVariant{"dora", {"adapter.adapter_type=dora"}},
                    AdapterVariant{"dora_bfloat16",
                                   {"adapter.adapter_type=dora", "model.dtype=bfloat16",
                                    "reference.precompute_ref_log_probs=false"}},
                    AdapterVariant{"rslora_on_two",
                                   {"adapter.use_rslora=true", "adapter.target_modules=[q_proj, v_proj]",
                                    "optimizer.learning_rate=2.0e-3"}},
                    AdapterVariant{"head",
                                   {"adapter.modules_to_save=[lm_head]", "optimizer.learning_rate=3.0e-3"}},
                    AdapterVariant{"embedding_and_norms", {"adapter.modules_to_save=[embed_tokens, norm]"}},
                    AdapterVariant{"float64", {"model.dtype=float64"}},
                    AdapterVariant{"recomputation", {"model.gradient_checkpointing=true"}},
                    AdapterVariant{"short_moments", {"optimizer.moment_dtype=float8"}},
                    AdapterVariant{"kto", {"objective.loss_type=kto"}},
                    AdapterVariant{"merged", {"export.adapter=merged"}, "gives what was trained within"},
                    AdapterVariant{"merged_dora_with_head",
                                   {"adapter.adapter_type=dora", "adapter.modules_to_save=[lm_head]",
                                    "export.adapter=merged", "optimizer.learning_rate=3.0e-3"},
                                   "gives what was trained within"},
                    AdapterVariant{"merged_bfloat16",
                                   {"model.dtype=bfloat16", "export.adapter=merged"},
                                   "final/ is stored in bfloat16"}),
    [](const testing::TestParamInfo<AdapterVariant>& entry) { return entry.param.name; });

struct StoredVariant {
  const char* name;
  std::vector<std::string> overrides;
  std::vector<std::string> arguments = {};
};

class StoredBase : public testing::TestWithParam<StoredVariant> {};

// A run gives on a base that stays in bfloat16 what it does on the same numbers stored in float32.
TEST_P(StoredBase, TrainsAsTheWidenedOne) {
  const TemporaryFolder a, b;
  const std::string stored = (a / "bfloat16").string(), widened = (b / "float32").string();
  output_of({"export", base(), "--dtype", "bfloat16", "--out", stored});
  output_of({"export", stored, "--dtype", "float32", "--out", widened});
  const auto settings = [](const std::string& model) {
    std::vector<std::string> all =
        lora({"model.model_name_or_path=" + model, "model.base_dtype=stored", "train.max_steps=7"});
    all.insert(all.end(), GetParam().overrides.begin(), GetParam().overrides.end());
    return all;
  };
  const TinyRun on_stored(a.path(), settings(stored)), on_widened(b.path(), settings(widened));
  ASSERT_EQ(on_stored.run(GetParam().arguments), 0) << on_stored.log_text();
  ASSERT_EQ(on_widened.run(GetParam().arguments), 0) << on_widened.log_text();
  EXPECT_EQ(lasting_metrics(on_stored), lasting_metrics(on_widened));
  EXPECT_EQ(scores(final_model(on_stored)), scores(final_model(on_widened)));
  EXPECT_THAT(on_stored.log_text(), HasSubstr("final/ as read back gives what was trained in every bit"));
}

INSTANTIATE_TEST_SUITE_P(
    All, StoredBase,
    testing::Values(StoredVariant{"lora", {}},
                    StoredVariant{"dora_with_a_live_reference",
                                  {"adapter.adapter_type=dora", "reference.precompute_ref_log_probs=false"}},
                    StoredVariant{"trained_embedding_and_recomputation",
                                  {"adapter.modules_to_save=[embed_tokens]",
                                   "model.gradient_checkpointing=true", "optimizer.learning_rate=3.0e-3"}},
                    StoredVariant{"float64", {"model.dtype=float64"}},
                    StoredVariant{"parts_of_two_ranks", {"distributed.shard=full"}, {"--nproc", "2"}}),
    [](const testing::TestParamInfo<StoredVariant>& entry) { return entry.param.name; });

TEST(AdapterDryRun, PlansWithTheAdapter) {
  const TemporaryFolder folder;
  const TinyRun run(folder.path(), lora());
  const ProgramResult result = run_program(run.arguments({"--dry-run"}));
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("adapter: lora of rank 4 on 14 linear layers"));
  EXPECT_THAT(result.out, HasSubstr("reference: the base model, with the adapter off"));
  EXPECT_FALSE(fs::exists(run.output_dir()));
}

TEST(AdapterDryRun, SaysThatTheBaseStaysAsStored) {
  const TemporaryFolder folder;
  const std::string stored = (folder / "bfloat16").string();
  output_of({"export", base(), "--dtype", "bfloat16", "--out", stored});
  const auto plan = [&](const std::string& dtype, const std::string& base_dtype) {
    const TinyRun run(folder.path(), lora({"model.model_name_or_path=" + stored, "model.dtype=" + dtype,
                                           "model.base_dtype=" + base_dtype}));
    return run_program(run.arguments({"--dry-run"}));
  };
  const std::string no_effect = "[model.base_dtype] has no effect";
  const ProgramResult kept = plan("float32", "stored");
  EXPECT_THAT(kept.out, HasSubstr("base: stays as stored, 0.00 GB; 0.00 GB in float32"));
  EXPECT_THAT(kept.err, Not(HasSubstr(no_effect)));
  EXPECT_THAT(plan("float32", "auto").out, Not(HasSubstr("base: stays")));
  const ProgramResult same = plan("bfloat16", "stored");
  EXPECT_THAT(same.out, Not(HasSubstr("base: stays")));
  EXPECT_THAT(same.err, HasSubstr(no_effect));
}

}  // namespace
}  // namespace ddro::test
