// Runs and commands on GGUF files.
#include <gmock/gmock.h>

#include "support/run_program.h"
#include "support/temporary_folder.h"
#include "tiny_run.h"

namespace ddro::test {
namespace {

using testing::HasSubstr;

std::string file(const std::string& name) { return fixture("gguf_models/" + name + ".gguf").string(); }

// Two steps on a file whose tokenizer knows little more than bytes.
std::vector<std::string> on(const std::string& name, std::vector<std::string> more = {}) {
  more.insert(more.begin(), {"model.model_name_or_path=" + file(name), "data.max_length=2048",
                             "train.micro_batch_tokens=4096", "train.max_steps=2", "eval.eval_steps=2"});
  return more;
}

std::string output_of(const std::vector<std::string>& arguments) {
  const ProgramResult result = ddro_train(arguments);
  EXPECT_EQ(result.exit_code, 0) << result.err;
  return result.out;
}

TEST(Gguf, AFullRunLeavesAHuggingFaceFolder) {
  const TemporaryFolder folder;
  const TinyRun run(folder.path(), on("llama"));
  ASSERT_EQ(run.run(), 0) << run.log_text();
  EXPECT_NEAR(run.metrics("train")[0]["loss"].get<double>(), 2 * std::log(2.0), 1e-2);
  for (const char* name : {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json",
                           "chat_template.jinja", "generation_config.json"}) {
    EXPECT_TRUE(std::filesystem::exists(run.output_dir() / "final" / name)) << name;
  }
  const std::string shown = output_of({"inspect", "model", (run.output_dir() / "final").string()});
  EXPECT_THAT(shown, HasSubstr("end tokens  2 \"</s>\""));
}

TEST(Gguf, InspectShowsWhatAFileHolds) {
  const std::string shown = output_of({"inspect", "model", file("gemma3")});
  EXPECT_THAT(shown, HasSubstr("gemma3_text"));
  EXPECT_THAT(shown, HasSubstr("model.layers.6.self_attn.q_norm.weight"));
  EXPECT_THAT(shown, HasSubstr("tokenizer.json (BPE), 261 ids"));
}

TEST(Gguf, AnExportedFolderScoresAsTheFile) {
  const TemporaryFolder folder;
  const std::string rows =
      folder.write("rows.jsonl", R"({"prompt": "the ", "chosen": "theory", "rejected": "!"})").string();
  const std::string out = (folder / "out").string();
  output_of({"export", file("qwen3"), "--out", out});
  const auto scores = [&](const std::string& model) {
    return json_lines_of(output_of({"score", "--model", model, "--data", rows}));
  };
  const std::vector<Json> of_file = scores(file("qwen3")), of_folder = scores(out);
  ASSERT_EQ(of_file.size(), 2U);
  ASSERT_EQ(of_folder.size(), 2U);
  EXPECT_EQ(of_file[0]["num_tokens"], 5);  // the, o, r, y and the end
  for (size_t i = 0; i < 2; ++i)
    EXPECT_NEAR(of_file[i]["logp"].get<double>(), of_folder[i]["logp"].get<double>(), 1e-4);
}

}  // namespace
}  // namespace ddro::test
