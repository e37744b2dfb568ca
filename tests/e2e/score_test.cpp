// What the program says of a model against transformers, and its commands against each other.
#include <gmock/gmock.h>

#include <cmath>

#include "ddro/base/hash.h"
#include "support/run_program.h"
#include "support/temporary_folder.h"
#include "tiny_run.h"

namespace ddro::test {
namespace {

using ddro::test::ddro_train;
using ddro::test::ProgramResult;
using ddro::test::run_program;

std::vector<Json> parse_lines(const std::string& text) {
  std::vector<Json> lines;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = text.find('\n', begin);
    lines.push_back(Json::parse(text.substr(begin, end - begin)));
    begin = end + 1;
  }
  return lines;
}

// stdout of the program, which has to succeed.
std::string output_of(const std::vector<std::string>& arguments, const std::string& input = "") {
  const ProgramResult result = ddro_train(arguments, input);
  EXPECT_EQ(result.exit_code, 0) << result.err;
  return result.out;
}

std::string smollm2() { return source_path("models/SmolLM2-135M-Instruct").string(); }
std::string tiny(const std::string& name) { return fixture("tiny_run/" + name).string(); }

TEST(Score, PairsOfSmolLM2AreWhatTransformersComputes) {
  const TemporaryFolder folder;
  const std::string out = (folder / "scores.jsonl").string();
  EXPECT_EQ(output_of({"score", "--model", smollm2(), "--reference", smollm2(), "--data",
                       fixture("scores/pairs.jsonl").string(), "--out", out}),
            "");
  const std::vector<Json> scores = parse_lines(read_file(out));
  const std::vector<Json> expected = parse_lines(read_file(fixture("scores/pairs.expected.jsonl")));
  ASSERT_EQ(scores.size(), expected.size());
  ASSERT_EQ(scores.size(), 12u);
  for (size_t i = 0; i < scores.size(); ++i) {
    for (const char* key : {"row", "role", "num_tokens"}) EXPECT_EQ(scores[i][key], expected[i][key]) << i;
    EXPECT_NEAR(scores[i]["logp"].get<double>(), expected[i]["logp"].get<double>(), 1e-3) << i;
    EXPECT_EQ(scores[i]["ref_logp"], scores[i]["logp"]);
    EXPECT_EQ(scores[i]["log_ratio"], 0);
    EXPECT_FALSE(scores[i].contains("label"));
  }
}

TEST(Score, ReadsOtherLayoutsAndNamesOfColumns) {
  const TemporaryFolder folder;
  const std::string plain =
      folder.write("plain.jsonl", R"({"prompt": "Q:", "chosen": " a", "rejected": " b"})").string();
  const std::string other =
      folder.write("other.json", R"([{"question": "Q:", "output": [" a", " b"]}])").string();
  const std::string rows =
      folder.write("renamed.jsonl", R"({"q": "Q:", "good": " a", "bad": " b"})").string();
  const std::string scores = output_of({"score", "--model", tiny("model"), "--data", plain});
  EXPECT_EQ(parse_lines(scores).size(), 2u);
  EXPECT_EQ(output_of({"score", "--model", tiny("model"), "--data", rows, "--columns", "prompt=q",
                       "--columns", "chosen=good", "--columns", "rejected=bad"}),
            scores);
  EXPECT_NE(
      output_of({"score", "--model", tiny("model"), "--data", other, "--columns", "instruction=question"}),
      "");
}

TEST(Score, UnpairedRowsKeepTheFilesOrderAndTheirLabels) {
  const std::string data = fixture("scores/labels.jsonl").string();
  const std::vector<Json> rows = parse_lines(read_file(data));
  const std::vector<Json> scores = parse_lines(output_of({"score", "--model", smollm2(), "--data", data}));
  const std::vector<Json> expected = parse_lines(read_file(fixture("scores/labels.expected.jsonl")));
  ASSERT_EQ(scores.size(), rows.size());
  for (size_t i = 0; i < scores.size(); ++i) {
    for (const char* key : {"row", "role", "num_tokens"}) EXPECT_EQ(scores[i][key], expected[i][key]) << i;
    EXPECT_NEAR(scores[i]["logp"].get<double>(), expected[i]["logp"].get<double>(), 1e-3) << i;
    EXPECT_EQ(scores[i]["label"], rows[i]["label"]);
    EXPECT_TRUE(scores[i]["ref_logp"].is_null());
    EXPECT_TRUE(scores[i]["log_ratio"].is_null());
  }
}

TEST(Score, RefusesBeforeItWorks) {
  const auto refused = [](std::vector<std::string> more) {
    more.insert(more.begin(), {"score", "--model", tiny("model"), "--data", tiny("pairs_eval.jsonl")});
    return ddro_train(more);
  };
  const ProgramResult other = refused({"--reference", smollm2()});
  EXPECT_EQ(other.exit_code, 3);
  EXPECT_EQ(other.out, "");
  EXPECT_THAT(other.err, ::testing::HasSubstr(
                             "[reference] has 49152 ids, the policy 400; both need the same tokenizer"));
  const ProgramResult nowhere = refused({"--out", "/nonexistent/scores.jsonl"});
  EXPECT_EQ(nowhere.exit_code, 2);
  EXPECT_THAT(nowhere.err,
              ::testing::HasSubstr("[--out] the folder of /nonexistent/scores.jsonl does not exist"));
  EXPECT_EQ(refused({"--dtype", "int8"}).exit_code, 2);
  EXPECT_EQ(refused({"--max-length", "20"}).exit_code, 2);
}

TEST(OnPolicy, IsWhatTransformersComputes) {
  for (const std::string alpha : {"0.5", "0.2"}) {
    const std::string shown = output_of({"inspect", "data", tiny("pairs_eval.jsonl"), "--model",
                                         tiny("model"), "--rows", "0", "--on-policy", "--alpha", alpha});
    const ProgramResult result = run_program(
        {source_path(".venv/bin/python").string(), source_path("tests/e2e/check_on_policy.py").string(),
         tiny("model"), tiny("pairs_eval.jsonl"), alpha},
        shown);
    EXPECT_EQ(result.exit_code, 0) << result.out << result.err;
  }
}

TEST(OnPolicy, NeedsBothClasses) {
  const TemporaryFolder folder;
  const std::string rows =
      folder.write("rows.jsonl", R"({"prompt": "Q:", "completion": " a", "label": true})").string();
  EXPECT_THAT(output_of({"inspect", "data", rows, "--model", tiny("model"), "--on-policy"}),
              ::testing::HasSubstr("on-policy   not known: rows of both classes are needed"));
  EXPECT_EQ(ddro_train({"inspect", "data", rows, "--model", tiny("model"), "--alpha", "0.5"}).exit_code, 2);
}

TEST(Tokenize, LinesAndChatsAreWhatTransformersGives) {
  const auto file = [](const std::string& name) {
    return read_file(fixture("encoded_rows/smollm2/" + name));
  };
  const auto ids = [&](const std::string& input, std::vector<std::string> more = {}) {
    more.insert(more.begin(), {"tokenize", "--model", smollm2()});
    return parse_lines(output_of(more, file(input)));
  };
  EXPECT_EQ(ids("lines.txt"), parse_lines(file("lines.ids.jsonl")));
  EXPECT_EQ(ids("chats.jsonl", {"--chat"}), parse_lines(file("chats.ids.jsonl")));
  EXPECT_EQ(ids("chats.jsonl", {"--chat", "--generation-prompt"}),
            parse_lines(file("chats.generation.ids.jsonl")));
}

// A finished run that makes one step an epoch, over all of its rows, and keeps the newest checkpoints.
class FinishedRun : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = new TemporaryFolder();
    run_ =
        new TinyRun(folder_->path(), {"train.train_batch_size=56", "train.num_train_epochs=6",
                                      "checkpoint.save_steps=1", "eval.eval_steps=2", "objective.alpha=0.4"});
    exit_code_ = run_->run();
  }
  static void TearDownTestSuite() {
    delete run_;
    delete folder_;
  }
  void SetUp() override { ASSERT_EQ(exit_code_, 0) << run_->log_text(); }

  static std::filesystem::path checkpoint(int step) {
    return run_->output_dir() / "checkpoints" / ("step_00000" + std::to_string(step));
  }

  // Exported weights score in the program as they do in transformers.
  void expect_scores_of_transformers(const std::filesystem::path& model) {
    const std::string out = (model.parent_path() / "scores.jsonl").string();
    output_of({"score", "--model", model.string(), "--data", tiny("pairs_eval.jsonl"), "--out", out});
    const ProgramResult result = run_program({source_path(".venv/bin/python").string(),
                                              source_path("tests/e2e/check_scores.py").string(),
                                              model.string(), tiny("pairs_eval.jsonl"), out, "1e-4"});
    EXPECT_EQ(result.exit_code, 0) << result.out << result.err;
  }

  // The loss that `loss` computes from what `score` says of `data`.
  static double loss_of_scores(const std::filesystem::path& model, const std::string& data) {
    const std::string scores =
        output_of({"score", "--model", model.string(), "--reference", tiny("model"), "--data", data});
    std::string rows;
    const std::vector<Json> lines = parse_lines(scores);
    for (size_t i = 0; i + 1 < lines.size(); i += 2) {
      rows += Json({{"chosen_logp", lines[i]["logp"]},
                    {"rejected_logp", lines[i + 1]["logp"]},
                    {"ref_chosen_logp", lines[i]["ref_logp"]},
                    {"ref_rejected_logp", lines[i + 1]["ref_logp"]}})
                  .dump() +
              "\n";
    }
    const TemporaryFolder folder;
    write_file_atomic(folder / "rows.jsonl", rows);
    return parse_lines(output_of({"loss", "--data", (folder / "rows.jsonl").string(), "--set",
                                  "objective.alpha=0.4"}))
        .back()["loss"]
        .get<double>();
  }

  static TemporaryFolder* folder_;
  static TinyRun* run_;
  static int exit_code_;
};

TemporaryFolder* FinishedRun::folder_ = nullptr;
TinyRun* FinishedRun::run_ = nullptr;
int FinishedRun::exit_code_ = -1;

TEST_F(FinishedRun, ExportsWhatTransformersLoads) {
  const TemporaryFolder folder;
  output_of({"export", checkpoint(6).string(), "--out", (folder / "model").string()});
  EXPECT_EQ(hash_file(folder / "model/model.safetensors"),
            hash_file(run_->output_dir() / "final/model.safetensors"));
  expect_scores_of_transformers(folder / "model");
}

TEST_F(FinishedRun, ExportsBFloat16) {
  const TemporaryFolder folder;
  output_of({"export", checkpoint(6).string(), "--out", (folder / "model").string(), "--dtype", "bfloat16"});
  EXPECT_EQ(Json::parse(read_file(folder / "model/config.json"))["dtype"], "bfloat16");
  EXPECT_LT(std::filesystem::file_size(folder / "model/model.safetensors"),
            std::filesystem::file_size(run_->output_dir() / "final/model.safetensors") * 6 / 10);
  expect_scores_of_transformers(folder / "model");
}

TEST_F(FinishedRun, EvaluatesToTheLastLineOfItsMetrics) {
  const Json evaluated =
      Json::parse(output_of({"eval", run_->config().string(), "--set", "objective.alpha=0.4"}));
  const Json last = run_->metrics("eval").back();
  EXPECT_EQ(last["step"], 6);
  EXPECT_EQ(evaluated["model"], (run_->output_dir() / "final").string());
  size_t compared = 0;
  for (const auto& [key, value] : evaluated.items()) {
    if (key == "model") continue;
    EXPECT_EQ(value, last[key]) << key;
    ++compared;
  }
  EXPECT_GE(compared, 14u);
  EXPECT_NE(evaluated["eval_held_out_loss"], run_->metrics("eval").front()["eval_held_out_loss"]);
}

TEST_F(FinishedRun, HasTheLossOfItsScores) {
  const std::vector<Json> steps = run_->metrics("train");
  ASSERT_EQ(steps.size(), 6u);
  for (const int step : {4, 5}) {  // the weights after a step give the loss of the next
    EXPECT_NEAR(loss_of_scores(checkpoint(step), tiny("pairs_train.jsonl")),
                steps[static_cast<size_t>(step)]["loss"].get<double>(), 1e-5);  // the reference's are cached
  }
  EXPECT_GT(std::abs(steps[5]["loss"].get<double>() - steps[4]["loss"].get<double>()), 1e-4);
  EXPECT_NEAR(loss_of_scores(run_->output_dir() / "final", tiny("pairs_eval.jsonl")),
              run_->metrics("eval").back()["eval_held_out_loss"].get<double>(), 1e-5);
}

}  // namespace
}  // namespace ddro::test
