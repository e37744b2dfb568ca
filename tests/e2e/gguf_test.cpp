// Runs and commands on GGUF files.
#include <gmock/gmock.h>

#include <csignal>

#include "ddro/base/hash.h"
#include "support/run_program.h"
#include "support/temporary_folder.h"
#include "tiny_run.h"

namespace ddro::test {
namespace {

using testing::HasSubstr;
using testing::Not;

std::string file(const std::string& name) { return fixture("gguf_models/" + name + ".gguf").string(); }

// A few steps of a model whose tokenizer knows little more than bytes.
std::vector<std::string> on(const std::string& model, std::vector<std::string> more = {}) {
  more.insert(more.begin(), {"model.model_name_or_path=" + model, "data.max_length=2048",
                             "train.micro_batch_tokens=4096", "train.max_steps=3", "eval.eval_steps=3"});
  return more;
}

std::vector<std::string> lora_on(const std::string& model, std::vector<std::string> more = {}) {
  more.insert(more.begin(), {"adapter.adapter_type=lora", "adapter.r=4", "optimizer.learning_rate=1.0e-2"});
  return on(model, std::move(more));
}

std::string output_of(const std::vector<std::string>& arguments) {
  const ProgramResult result = ddro_train(arguments);
  EXPECT_EQ(result.exit_code, 0) << result.err;
  return result.out;
}

ProgramResult python(const std::string& program, std::vector<std::string> arguments) {
  const auto root = environment_path("DDRO_SOURCE_DIR");
  arguments.insert(arguments.begin(), {(root / ".venv/bin/python").string(), (root / program).string()});
  return run_program(arguments);
}

TEST(Gguf, AFullRunLeavesAHuggingFaceFolder) {
  const TemporaryFolder folder;
  const TinyRun run(folder.path(), on(file("llama")));
  ASSERT_EQ(run.run(), 0) << run.log_text();
  EXPECT_NEAR(run.metrics("train")[0]["loss"].get<double>(), 2 * std::log(2.0), 1e-2);
  for (const char* name : {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json",
                           "chat_template.jinja", "generation_config.json"}) {
    EXPECT_TRUE(std::filesystem::exists(run.output_dir() / "final" / name)) << name;
  }
  const std::string shown = output_of({"inspect", "model", (run.output_dir() / "final").string()});
  EXPECT_THAT(shown, HasSubstr("end tokens  2 \"</s>\""));
}

// What an adapter learns on a file, whose weights stay packed, is what it learns on the file's folder.
TEST(Gguf, AnAdapterLearnsOnTheFileAsOnItsFolder) {
  const TemporaryFolder a, b;
  const std::string unpacked = (a / "folder").string();
  output_of({"export", file("llama"), "--out", unpacked});
  const TinyRun on_file(a.path(), lora_on(file("llama"))), on_folder(b.path(), lora_on(unpacked));
  ASSERT_EQ(on_file.run(), 0) << on_file.log_text();
  ASSERT_EQ(on_folder.run(), 0) << on_folder.log_text();
  EXPECT_EQ(lasting_metrics(on_file), lasting_metrics(on_folder));
  EXPECT_GT(on_file.metrics("train").back()["log_ratio/abs_max"].get<double>(), 0.01);
  EXPECT_THAT(on_file.log_text(), HasSubstr("final/ as read back gives what was trained in every bit"));
  EXPECT_TRUE(std::filesystem::exists(on_file.output_dir() / "final/adapter_model.safetensors"));
  const Json config = Json::parse(read_file(on_file.output_dir() / "final/adapter_config.json"));
  EXPECT_EQ(config["base_model_name_or_path"], file("llama"));
}

TEST(Gguf, AnAdapterGoesOnWithTheSameBits) {
  const TemporaryFolder a, b;
  const std::vector<std::string> settings = lora_on(file("qwen2"), {"checkpoint.save_steps=1"});
  const TinyRun whole(a.path(), settings), stopped(b.path(), settings);
  ASSERT_EQ(whole.run(), 0) << whole.log_text();
  ASSERT_EQ(stopped.run({}, {"DDRO_FAILPOINT=checkpoint.after_rename:2"}), -SIGKILL) << stopped.log_text();
  ASSERT_EQ(stopped.run(), 0) << stopped.log_text();
  EXPECT_THAT(stopped.log_text(), HasSubstr("resuming from"));
  EXPECT_EQ(lasting_metrics(stopped), lasting_metrics(whole));
  const auto weights = [](const TinyRun& run) {
    return hash_file(run.output_dir() / "final/adapter_model.safetensors");
  };
  EXPECT_EQ(weights(stopped), weights(whole));
}

TEST(Gguf, AnAdapterIsWrittenForLlamaCpp) {
  const TemporaryFolder folder;
  const TinyRun run(folder.path(), lora_on(file("llama")));
  ASSERT_EQ(run.run(), 0) << run.log_text();
  const std::string peft = (run.output_dir() / "final").string(), out = (folder / "lora.gguf").string();
  output_of({"export", peft, "--out", out});
  const ProgramResult checked = python("tests/e2e/check_gguf_adapter.py", {peft, out, file("llama")});
  EXPECT_EQ(checked.exit_code, 0) << checked.out << checked.err;
  EXPECT_THAT(checked.out, HasSubstr("14 products are equal"));
}

std::string adapter_hash(const std::string& folder) {
  return hash_file(std::filesystem::path(folder) / "adapter_model.safetensors");
}

// A GGUF adapter is taken wherever its PEFT folder is, with the same numbers.
TEST(Gguf, AnAdapterIsReadAsItsFolder) {
  const TemporaryFolder folder, on_peft, on_gguf;
  const TinyRun run(folder.path(), lora_on(file("llama")));
  ASSERT_EQ(run.run(), 0) << run.log_text();
  const std::string peft = (run.output_dir() / "final").string(), lora = (folder / "lora.gguf").string(),
                    back = (folder / "back").string();
  output_of({"export", peft, "--out", lora});
  output_of({"export", lora, "--out", back});
  EXPECT_EQ(adapter_hash(back), adapter_hash(peft));
  EXPECT_TRUE(std::filesystem::exists(folder / "back/tokenizer.json"));
  const auto scores = [&](const std::string& model) {
    return output_of({"score", "--model", model, "--data", fixture("tiny_run/pairs_eval.jsonl").string(),
                      "--max-length", "2048"});
  };
  const std::string expected = scores(peft);
  EXPECT_EQ(scores(lora), expected);
  EXPECT_NE(scores(file("llama")), expected);
  const auto gone_on = [&](const TemporaryFolder& place, const std::string& adapter) {
    const TinyRun more(place.path(), on(file("llama"), {"adapter.adapter_name_or_path=" + adapter}));
    EXPECT_EQ(more.run(), 0) << more.log_text();
    EXPECT_TRUE(std::filesystem::exists(more.output_dir() / "final/tokenizer.json"));
    return std::pair(lasting_metrics(more), adapter_hash((more.output_dir() / "final").string()));
  };
  EXPECT_EQ(gone_on(on_gguf, lora), gone_on(on_peft, peft));
}

// Files of Python's gguf, as llama.cpp's converter writes them.
TEST(Gguf, AdaptersOfOthersAreRead) {
  const TemporaryFolder folder;
  const TinyRun run(folder.path(), lora_on(file("llama")));
  ASSERT_EQ(run.run(), 0) << run.log_text();
  const std::string peft = (run.output_dir() / "final").string();
  const auto read_back = [&](const std::string& name, std::vector<std::string> options) {
    const std::string lora = (folder / (name + ".gguf")).string(), back = (folder / name).string();
    options.insert(options.begin(), {peft, lora});
    const ProgramResult written = python("tests/e2e/write_gguf_adapter.py", options);
    EXPECT_EQ(written.exit_code, 0) << written.err;
    output_of({"export", lora, "--base", file("llama"), "--out", back});
    return std::pair(lora, back);
  };
  EXPECT_EQ(adapter_hash(read_back("same", {"F32"}).second), adapter_hash(peft));
  const auto [lora, back] = read_back("varied", {"F16", "--varied"});
  const ProgramResult checked = python("tests/e2e/check_gguf_adapter.py", {back, lora, file("llama")});
  EXPECT_EQ(checked.exit_code, 0) << checked.out << checked.err;
  EXPECT_THAT(checked.out, HasSubstr("11 products are equal"));
}

// export.gguf leaves what the command `export` makes of final/.
TEST(Gguf, ARunLeavesAFileBesideItsFolder) {
  const TemporaryFolder whole, separate, merged;
  const auto compare = [&](const TemporaryFolder& folder, const std::vector<std::string>& settings,
                           std::vector<std::string> options) {
    const TinyRun run(folder.path(), settings);
    ASSERT_EQ(run.run(), 0) << run.log_text();
    const std::string expected = (folder / "expected.gguf").string();
    options.insert(options.begin(), {"export", (run.output_dir() / "final").string(), "--out", expected});
    output_of(options);
    EXPECT_EQ(hash_file(run.output_dir() / "final.gguf"), hash_file(expected));
  };
  compare(whole, on(file("llama"), {"export.gguf=q8_0"}), {"--dtype", "q8_0"});
  compare(separate, lora_on(file("llama"), {"export.gguf=keep"}), {});
  compare(merged, lora_on(file("llama"), {"export.gguf=float16", "export.adapter=merged"}),
          {"--dtype", "float16"});
}

// Each architecture and each switch, against what Python's library packs and says.
TEST(Gguf, ModelsAreWrittenForLlamaCpp) {
  const TemporaryFolder folder;
  const std::vector<std::pair<std::string, std::string>> types = {
      {"q8_0", "Q8_0"}, {"float16", "F16"}, {"bfloat16", "BF16"}, {"float32", "F32"}};
  std::vector<std::string> triples;
  size_t turn = 0;
  for (const char* name : {"llama", "llama_tied", "llama_plain", "llama_biases", "llama_scaled", "qwen2",
                           "qwen2_yarn", "qwen3", "gemma2", "gemma3"}) {
    const auto& [dtype, type] = types[turn++ % types.size()];
    const std::string out = (folder / (std::string(name) + ".gguf")).string();
    output_of({"export", file(name), "--out", out, "--dtype", dtype});
    triples.insert(triples.end(), {file(name), out, type});
  }
  const ProgramResult checked = python("tests/e2e/check_gguf_model.py", triples);
  EXPECT_EQ(checked.exit_code, 0) << checked.out << checked.err;
}

// A Hugging Face folder's model and a merged adapter's score as files what they score as they are.
TEST(Gguf, AWrittenModelScoresAsItsSource) {
  const TemporaryFolder folder;
  const TinyRun run(folder.path(), {"adapter.adapter_type=lora", "adapter.r=4", "train.max_steps=7",
                                    "optimizer.learning_rate=1.0e-2"});
  ASSERT_EQ(run.run(), 0) << run.log_text();
  const auto scores = [&](const std::string& model) {
    std::vector<double> values;
    for (const Json& line : json_lines_of(
             output_of({"score", "--model", model, "--data", fixture("tiny_run/pairs_eval.jsonl").string()})))
      values.push_back(line["logp"].get<double>());
    return values;
  };
  const std::string base = fixture("tiny_run/model").string(),
                    adapter = (run.output_dir() / "final").string();
  for (const auto& [model, out] :
       {std::pair(base, folder / "base.gguf"), {adapter, folder / "merged.gguf"}}) {
    output_of({"export", model, "--out", out.string(), "--adapter", "merged"});
    const std::vector<double> expected = scores(model), got = scores(out.string());
    ASSERT_EQ(got.size(), expected.size());
    for (size_t i = 0; i < got.size(); ++i) EXPECT_NEAR(got[i], expected[i], 1e-4) << out << " " << i;
  }
}

TEST(Gguf, ThePlanSaysThatTheBaseStaysPacked) {
  const TemporaryFolder folder;
  const auto plan = [&](const std::vector<std::string>& settings) {
    std::vector<std::string> arguments = TinyRun(folder.path(), settings).arguments({"--dry-run"});
    arguments.erase(arguments.begin());
    return output_of(arguments);
  };
  EXPECT_THAT(plan(lora_on(file("llama"))), HasSubstr("base: stays packed, 0.0"));
  EXPECT_THAT(plan(on(file("llama"))), Not(HasSubstr("stays packed")));
}

TEST(Gguf, InspectShowsWhatAFileHolds) {
  const std::string shown = output_of({"inspect", "model", file("gemma3")});
  EXPECT_THAT(shown, HasSubstr("gemma3_text"));
  EXPECT_THAT(shown, HasSubstr("model.layers.6.self_attn.q_norm.weight"));
  EXPECT_THAT(shown, HasSubstr("tokenizer   in the file's metadata (BPE), 261 ids"));
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
