// Repeated, stopped and killed runs end with the same bits, with as many threads as the program takes by
// itself, on models whose operations LibTorch shares out among them. (The tiny model of the other tests is
// computed by one thread nearly throughout.)
#include <gmock/gmock.h>

#include <algorithm>
#include <functional>
#include <random>

#include "ddro/base/hash.h"
#include "ddro/base/safetensors.h"
#include "support/temporary_folder.h"
#include "tiny_run.h"

namespace ddro::test {
namespace {

namespace fs = std::filesystem;

std::string final_hash(const TinyRun& run) { return hash_file(run.output_dir() / "final/model.safetensors"); }

struct ModelWriter {
  std::mt19937 random{1};
  std::vector<std::pair<std::string, std::vector<std::int64_t>>> shapes;
  std::vector<std::vector<float>> values;

  void add(const std::string& name, std::vector<std::int64_t> shape, float scale, float shift = 0) {
    std::normal_distribution<float> normal(shift, scale);
    std::vector<float> numbers(static_cast<size_t>(shape[0] * (shape.size() == 2 ? shape[1] : 1)));
    for (float& number : numbers) number = normal(random);
    shapes.emplace_back(name, std::move(shape));
    values.push_back(std::move(numbers));
  }

  void write(const fs::path& path) const {
    std::vector<NamedBytes> tensors;
    for (size_t i = 0; i < values.size(); ++i)
      tensors.push_back(
          {shapes[i].first, DType::kFloat32, shapes[i].second, std::as_bytes(std::span(values[i]))});
    write_safetensors(path, tensors, {{"format", "pt"}});
  }
};

// A random Llama with 8192 ids, of which the tiny model's tokenizer uses the first.
fs::path write_ordinary_model(const fs::path& folder) {
  constexpr std::int64_t kVocabulary = 8192, kWidth = 256, kForward = 640, kKeys = 64, kLayers = 4;
  fs::copy(fixture("tiny_run/model"), folder);
  fs::remove(folder / "model.safetensors");
  Json config = read_json_file((folder / "config.json").string(), ErrorKind::kInput);
  config.update({{"vocab_size", kVocabulary},
                 {"hidden_size", kWidth},
                 {"intermediate_size", kForward},
                 {"num_hidden_layers", kLayers},
                 {"num_attention_heads", 8},
                 {"num_key_value_heads", 2},
                 {"head_dim", 32}});
  write_file_atomic(folder / "config.json", config.dump());
  ModelWriter model;
  model.add("model.embed_tokens.weight", {kVocabulary, kWidth}, 0.1F);
  for (std::int64_t i = 0; i < kLayers; ++i) {
    const std::string layer = "model.layers." + std::to_string(i) + ".";
    model.add(layer + "input_layernorm.weight", {kWidth}, 0.1F, 1);
    model.add(layer + "self_attn.q_proj.weight", {kWidth, kWidth}, 0.06F);
    model.add(layer + "self_attn.k_proj.weight", {kKeys, kWidth}, 0.06F);
    model.add(layer + "self_attn.v_proj.weight", {kKeys, kWidth}, 0.06F);
    model.add(layer + "self_attn.o_proj.weight", {kWidth, kWidth}, 0.06F);
    model.add(layer + "post_attention_layernorm.weight", {kWidth}, 0.1F, 1);
    model.add(layer + "mlp.gate_proj.weight", {kForward, kWidth}, 0.06F);
    model.add(layer + "mlp.up_proj.weight", {kForward, kWidth}, 0.06F);
    model.add(layer + "mlp.down_proj.weight", {kWidth, kForward}, 0.06F);
  }
  model.add("model.norm.weight", {kWidth}, 0.1F, 1);
  model.write(folder / "model.safetensors");
  return folder;
}

// All pairs in each step, about 1200 packed tokens, so that each operation is large enough to be shared out.
std::vector<std::string> ordinary_settings() {
  static const TemporaryFolder folder;
  static const fs::path model = write_ordinary_model(folder / "model");
  std::vector<std::string> settings = sampling();
  settings.insert(settings.end(), {"model.model_name_or_path=" + model.string(), "train.train_batch_size=56",
                                   "train.micro_batch_tokens=4096", "train.num_train_epochs=12",
                                   "optimizer.learning_rate=3.0e-4", "checkpoint.save_steps=2"});
  return settings;
}

// Eight pairs of a few hundred tokens; checkpoints as small as they get.
std::vector<std::string> smollm2_settings() {
  static const TemporaryFolder folder;
  static const fs::path rows = [] {
    const std::string all = read_file(source_path("data/reader_pairs_eval.jsonl"));
    size_t end = 0;
    for (int i = 0; i < 8; ++i) end = all.find('\n', end) + 1;
    return folder.write("rows.jsonl", all.substr(0, end));
  }();
  return {"model.model_name_or_path=" + source_path("models/SmolLM2-135M-Instruct").string(),
          "data.train_files=['" + rows.string() + "']",
          "data.max_length=1024",
          "train.train_batch_size=2",
          "train.micro_batch_tokens=2048",
          "train.max_steps=4",
          "optimizer.learning_rate=1.0e-5",
          "optimizer.moment_dtype=float8",
          "eval.eval_strategy=no",
          "checkpoint.save_steps=2",
          "checkpoint.save_total_limit=1"};
}

// A run of these settings that nothing disturbs.
struct Undisturbed {
  explicit Undisturbed(const std::vector<std::string>& settings) : run(folder.path(), settings) {
    if (run.run() != 0) throw std::runtime_error("the undisturbed run failed: " + run.log_text());
  }
  TemporaryFolder folder;
  TinyRun run;
};

const TinyRun& undisturbed_ordinary() {
  static const Undisturbed instance(ordinary_settings());
  return instance.run;
}

const TinyRun& undisturbed_smollm2() {
  static const Undisturbed instance(smollm2_settings());
  return instance.run;
}

void expect_same(const TinyRun& run, const TinyRun& other) {
  EXPECT_EQ(final_hash(run), final_hash(other));
  EXPECT_EQ(lasting_metrics(run), lasting_metrics(other));
}

void stop_after(const TinyRun& run, const std::string& step, int signal) {
  BackgroundProgram program(run.arguments(), run.log().string());
  ASSERT_TRUE(program.wait_for_output(step, 120)) << program.output();
  program.send(signal);
  const ExitStatus status = program.wait(120);
  if (signal == SIGKILL) {
    ASSERT_EQ(status.signal, SIGKILL) << program.output();
  } else {
    ASSERT_EQ(status.code, 75) << program.output();
  }
}

TEST(SameBits, OfARepeatedRun) {
  for (int i = 0; i < 3; ++i) {
    const TemporaryFolder folder;
    const TinyRun run(folder.path(), ordinary_settings());
    ASSERT_EQ(run.run(), 0) << run.log_text();
    expect_same(run, undisturbed_ordinary());
    EXPECT_EQ(samples_of(run), samples_of(undisturbed_ordinary()));
  }
}

TEST(SameBits, OfAStoppedRun) {
  const TemporaryFolder folder;
  const TinyRun run(folder.path(), ordinary_settings());
  ASSERT_NO_FATAL_FAILURE(stop_after(run, "step 5/", SIGTERM));
  ASSERT_EQ(run.run(), 0) << run.log_text();
  EXPECT_THAT(run.log_text(), testing::HasSubstr("resuming from"));
  expect_same(run, undisturbed_ordinary());
}

TEST(SameBits, OfARunKilledAtAnyTime) {
  std::mt19937 random(20260102);
  const TemporaryFolder folder;
  const TinyRun run(folder.path(), ordinary_settings());
  int kills = 0;
  for (bool done = false; !done;) {
    BackgroundProgram program(run.arguments(), run.log().string());
    const double delay_s = std::uniform_real_distribution<>(0.5, 4)(random);
    ExitStatus status = program.wait(kills < 8 ? delay_s : 120);
    if (status.timed_out) {
      ASSERT_LT(kills++, 8) << program.output();
      program.send(SIGKILL);
      status = program.wait(60);
      ASSERT_EQ(status.signal, SIGKILL);
    } else {
      ASSERT_EQ(status.code, 0) << program.output();
      done = true;
    }
  }
  EXPECT_GT(kills, 0);
  expect_same(run, undisturbed_ordinary());
  EXPECT_EQ(samples_of(run), samples_of(undisturbed_ordinary()));
}

// One after the other on the disk, where each run has gigabytes.
void for_run_of_smollm2(const std::function<void(const TinyRun&)>& use) {
  const TemporaryFolder folder;
  const TinyRun run(folder.path(), smollm2_settings());
  use(run);
  ASSERT_FALSE(testing::Test::HasFatalFailure());
  ASSERT_EQ(run.run(), 0) << run.log_text();
  expect_same(run, undisturbed_smollm2());
}

TEST(SameBitsOfSmolLm2, RepeatedKilledAndStopped) {
  ASSERT_NO_FATAL_FAILURE(for_run_of_smollm2([](const TinyRun&) {}));
  ASSERT_NO_FATAL_FAILURE(
      for_run_of_smollm2([](const TinyRun& run) { stop_after(run, "step 3/", SIGKILL); }));
  for_run_of_smollm2([](const TinyRun& run) { stop_after(run, "step 1/", SIGTERM); });
}

}  // namespace
}  // namespace ddro::test
