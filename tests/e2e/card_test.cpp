// The model card of what a run leaves, as the hub's own library reads it.
#include <gmock/gmock.h>

#include <cmath>
#include <csignal>

#include "support/run_program.h"
#include "support/temporary_folder.h"
#include "tiny_run.h"

namespace ddro::test {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::Not;
using Settings = std::vector<std::string>;

// The card's header.
nlohmann::json header(const fs::path& folder) {
  const ProgramResult result =
      run_program({source_path(".venv/bin/python").string(), source_path("tests/e2e/check_card.py").string(),
                   folder.string()});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  return nlohmann::json::parse(result.out);
}

std::string card(const TinyRun& run, const std::string& folder) {
  return read_file(run.output_dir() / folder / "README.md");
}

// The number in a row of one of its tables.
double figure(const std::string& card, const std::string& name) {
  const std::string row = "\n| `" + name + "` | ";
  const size_t at = card.find(row);
  if (at == std::string::npos) throw std::runtime_error("no row " + name + " in " + card);
  return std::stod(card.substr(at + row.size()));
}

// What `export` makes of a folder of the run.
fs::path exported(const TinyRun& run, const std::string& folder, const fs::path& out, Settings more = {}) {
  Settings arguments = {environment_path("DDRO_TRAIN").string(), "export",
                        (run.output_dir() / folder).string(), "--out", out.string()};
  arguments.insert(arguments.end(), more.begin(), more.end());
  const ProgramResult result = run_program(arguments);
  EXPECT_EQ(result.exit_code, 0) << result.err;
  return out;
}

// A model and rows where huggingface_hub would have put them.
Settings from_the_hub(const fs::path& cache, const std::string& base_card) {
  const fs::path model = cache / "models--some-org--tiny-base/snapshots/0123";
  const fs::path rows = cache / "datasets--some-org--pairs/snapshots/4567";
  fs::create_directories(model.parent_path());
  fs::copy(fixture("tiny_run/model"), model, fs::copy_options::recursive);
  write_file_atomic(model / "README.md", base_card);
  fs::create_directories(rows);
  fs::copy(fixture("tiny_run/pairs_train.jsonl"), rows / "train.jsonl");
  return {"model.model_name_or_path=" + model.string(),
          "data.train_files=[" + (rows / "train.jsonl").string() + "]", "train.max_steps=9"};
}

TEST(Card, NamesBaseDataAndLicenceAsTheHubDoes) {
  const TemporaryFolder folder;
  const TinyRun run(
      folder.path(),
      from_the_hub(folder / "hub", "---\nlanguage: en\nlicense: apache-2.0\n---\nwords of the base"));
  ASSERT_EQ(run.run(), 0) << run.log_text();
  const nlohmann::json expected = {{"base_model", "some-org/tiny-base"}, {"library_name", "transformers"},
                                   {"pipeline_tag", "text-generation"},  {"license", "apache-2.0"},
                                   {"tags", {"ddro-train", "ddro"}},     {"datasets", {"some-org/pairs"}}};
  EXPECT_EQ(header(run.output_dir() / "final"), expected);
  EXPECT_THAT(card(run, "final"), Not(HasSubstr("words of the base")));
}

TEST(Card, SaysWhatTheRunKnowsAndNoPath) {
  const TemporaryFolder folder;
  const TinyRun run(folder.path(), {"train.max_steps=9", "optimizer.weight_decay=0.125", "train.seed=77"});
  ASSERT_EQ(run.run(), 0) << run.log_text();
  const std::string text = card(run, "final");
  const Json record = Json::parse(read_file(run.output_dir() / "run.json"));
  for (const std::string& fact :
       {std::string("\n# model, trained with ddro\n"), std::string("`loss_type: ddro, alpha: 0.5"),
        std::string("the policy's starting weights"), record["run"]["base_model"].get<std::string>(),
        std::string("`pairs_train.jsonl`: 56 pairs, content `") + record["run"]["data"].get<std::string>(),
        std::string("9 of 9, 8 examples each"),
        std::string("adamw, learning rate 0.003 cosine, warm-up 1 steps"), std::string("weight decay 0.125"),
        std::string("| seed | 77 |"), std::string("float32 on the CPU"), record["version"].get<std::string>(),
        std::string("After step 9:")}) {
    EXPECT_THAT(text, HasSubstr(fact));
  }
  EXPECT_THAT(text, Not(HasSubstr(fixture("tiny_run/model").parent_path().string())));
  EXPECT_THAT(text, Not(HasSubstr(folder.path().string())));
  const Json last = run.metrics("eval").back();
  for (const char* name : {"eval_held_out_loss", "eval_held_out_rewards/accuracies"}) {
    const double value = last[name].get<double>();
    EXPECT_NEAR(figure(text, name), value, 1e-5 * std::fabs(value)) << name;
  }
  EXPECT_THAT(text, Not(HasSubstr("eval_runtime")));
  EXPECT_FALSE(header(run.output_dir() / "final").contains("license"));
}

TEST(Card, GoesWithTheWeightsOfACheckpointAlone) {
  const TemporaryFolder folder;
  const TinyRun run(folder.path(), {"train.max_steps=9", "eval.eval_steps=4"});
  ASSERT_EQ(run.run(), 0) << run.log_text();
  const std::string of_six =
      read_file(exported(run, "checkpoints/step_000006", folder / "six") / "README.md");
  EXPECT_THAT(of_six, AllOf(HasSubstr("6 of 9, 8 examples"), HasSubstr("After step 4:")));
  EXPECT_EQ(card(run, "checkpoints/step_000009"), card(run, "final"));
  EXPECT_FALSE(fs::exists(exported(run, "final", folder / "again") / "README.md"));
}

TEST(Card, IsTheSameAfterAResume) {
  const TemporaryFolder folder, straight_folder;
  const Settings settings = {"train.max_steps=12", "eval.eval_steps=4"};
  const TinyRun run(folder.path(), settings), straight(straight_folder.path(), settings);
  ASSERT_EQ(straight.run(), 0) << straight.log_text();
  BackgroundProgram program(run.arguments(), run.log().string());
  ASSERT_TRUE(program.wait_for_output("step 5/12", 60)) << program.output();
  program.send(SIGKILL);
  program.wait(60);
  ASSERT_EQ(run.run(), 0) << run.log_text();
  EXPECT_EQ(card(run, "final"), card(straight, "final"));
}

TEST(Card, OfTheBestModelHasItsEvaluation) {
  const TemporaryFolder folder;
  const TinyRun run(folder.path(),
                    {"train.max_steps=12", "eval.metric_for_best_model=loss", "eval.eval_steps=2",
                     "optimizer.learning_rate=0.1", "optimizer.lr_scheduler_type=constant"});
  ASSERT_EQ(run.run(), 0) << run.log_text();
  const Json best = Json::parse(read_file(run.output_dir() / "run.json"))["best"];
  ASSERT_LT(best["step"], 12) << "the last evaluation is the best; nothing is shown";
  EXPECT_THAT(card(run, "best"), HasSubstr("After step " + best["step"].dump() + ":"));
  const double value = best["value"].get<double>();
  EXPECT_NEAR(figure(card(run, "best"), "eval_held_out_loss"), value, 1e-5 * std::fabs(value));
}

TEST(Card, OfAnAdapterSaysWhatLoadsIt) {
  const TemporaryFolder folder;
  const TinyRun run(folder.path(), {"train.max_steps=3", "adapter.adapter_type=lora", "adapter.r=4"});
  ASSERT_EQ(run.run(), 0) << run.log_text();
  const nlohmann::json tags = {"ddro-train", "ddro", "lora"};
  const nlohmann::json separate = header(run.output_dir() / "final");
  EXPECT_EQ(separate["library_name"], "peft");
  EXPECT_EQ(separate["tags"], tags);
  EXPECT_THAT(card(run, "final"), HasSubstr("the base model, with the adapter off"));
  const fs::path merged =
      exported(run, "checkpoints/step_000003", folder / "merged", {"--adapter", "merged"});
  EXPECT_EQ(header(merged)["library_name"], "transformers");
}

}  // namespace
}  // namespace ddro::test
