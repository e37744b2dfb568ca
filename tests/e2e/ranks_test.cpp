// A run in several ranks: the numbers of one process, over any stop, loss and resume.
#include <gmock/gmock.h>
#include <sys/ptrace.h>

#include <cmath>
#include <cstring>
#include <deque>
#include <map>
#include <random>
#include <tuple>

#include "cut_links.h"
#include "ddro/base/hash.h"
#include "ddro/base/safetensors.h"
#include "rank_runs.h"
#include "support/run_program.h"
#include "support/temporary_folder.h"

namespace ddro::test {
namespace {

using ::testing::AllOf;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;

using Settings = std::vector<std::string>;

// Nothing but rounding tells ranks from one process. In float64 that is small enough to show anything else.
constexpr double kRounding = 1e-9;
Settings exact(Settings more = {}) {
  more.emplace_back("model.dtype=float64");
  return more;
}
Settings lora() { return {"adapter.adapter_type=lora", "adapter.r=4", "optimizer.learning_rate=1.0e-2"}; }

std::string final_hash(const TinyRun& run) { return hash_file(run.output_dir() / "final/model.safetensors"); }

std::vector<Json> all_metrics(const TinyRun& run) {
  std::vector<Json> lines = json_lines_of(lasting_metrics(run));
  for (Json& line : lines) line.erase("rank_imbalance");
  return lines;
}

void expect_same_metrics(const TinyRun& got, const TinyRun& expected) {
  const std::vector<Json> lines = all_metrics(got), truth = all_metrics(expected);
  ASSERT_EQ(lines.size(), truth.size());
  for (size_t i = 0; i < lines.size(); ++i) {
    ASSERT_EQ(lines[i].size(), truth[i].size()) << lines[i];
    for (const auto& [name, value] : truth[i].items()) {
      if (!value.is_number_float()) {
        EXPECT_EQ(lines[i][name], value) << name;
        continue;
      }
      const auto number = value.get<double>();
      EXPECT_NEAR(lines[i][name].get<double>(), number, kRounding * std::max(1.0, std::fabs(number)))
          << "line " << i << ", " << name;
    }
  }
}

// In one order, whoever has drawn them.
void expect_same_samples(const TinyRun& got, const TinyRun& expected) {
  const std::vector<Json> lines = samples_of(got), truth = samples_of(expected);
  ASSERT_EQ(lines.size(), truth.size());
  for (size_t i = 0; i < lines.size(); ++i) {
    for (const char* name : {"step", "prompt", "completion", "finished"})
      EXPECT_EQ(lines[i][name], truth[i][name]) << "line " << i;
    EXPECT_NEAR(lines[i]["logp"].get<double>(), truth[i]["logp"].get<double>(), kRounding * 100)
        << "line " << i;
  }
}

// The tensors of one kind in the run's last checkpoint: of one file, or of one from each rank that writes.
class SavedTensors {
 public:
  SavedTensors(const TinyRun& run, const std::string& stem) {
    std::filesystem::path newest;
    for (const auto& entry : std::filesystem::directory_iterator(run.output_dir() / "checkpoints"))
      newest = std::max(newest, entry.path());
    for (const auto& entry : std::filesystem::directory_iterator(newest)) {
      const std::string name = entry.path().filename().string();
      if (!name.starts_with(stem) || !name.ends_with(".safetensors")) continue;
      files_.emplace_back(entry.path());
      for (const auto& [tensor, view] : files_.back().tensors())
        EXPECT_TRUE(tensors_.emplace(tensor, view).second) << tensor << " is in two files";
    }
  }
  const std::map<std::string, TensorView>& tensors() const { return tensors_; }
  size_t num_files() const { return files_.size(); }

  std::string bytes() const {
    std::string all;
    for (const auto& [name, view] : tensors_)
      all += name + std::string(reinterpret_cast<const char*>(view.bytes.data()), view.bytes.size());
    return all;
  }

 private:
  std::deque<SafetensorsFile> files_;
  std::map<std::string, TensorView> tensors_;
};

// At full precision: each within rounding of its largest number.
void expect_same_weights(const TinyRun& got, const TinyRun& expected, const std::string& stem) {
  const SavedTensors weights(got, stem), truth(expected, stem);
  ASSERT_EQ(weights.tensors().size(), truth.tensors().size());
  for (const auto& [name, view] : truth.tensors()) {
    ASSERT_EQ(view.dtype, DType::kFloat64) << name;
    const auto at = [](const TensorView& from, size_t i) {
      double number = 0;
      std::memcpy(&number, from.bytes.data() + i * sizeof number, sizeof number);
      return number;
    };
    double largest = 0, difference = 0;
    for (size_t i = 0; i < view.bytes.size() / sizeof(double); ++i) {
      largest = std::max(largest, std::fabs(at(view, i)));
      difference = std::max(difference, std::fabs(at(view, i) - at(weights.tensors().at(name), i)));
    }
    EXPECT_LE(difference, kRounding * largest) << name;
  }
}

struct Course {
  const char* name;
  Settings (*settings)();
  const char* weights = "model";
};

class RanksOf : public testing::TestWithParam<Course> {};

TEST_P(RanksOf, GiveTheRunOfOneProcess) {
  const Settings settings = exact(GetParam().settings());
  const TemporaryFolder one_folder;
  const TinyRun one(one_folder.path(), settings);
  ASSERT_EQ(one.run(), 0) << one.log_text();
  for (const int count : {2, 4}) {
    const TemporaryFolder folder;
    const TinyRun run(folder.path(), settings);
    ASSERT_EQ(run.run(ranks(count)), 0) << run.log_text();
    expect_same_metrics(run, one);
    expect_same_weights(run, one, GetParam().weights);
    if (std::filesystem::exists(one.output_dir() / "samples.jsonl")) expect_same_samples(run, one);
    EXPECT_THAT(run.log_text(),
                AllOf(HasSubstr("in " + std::to_string(count) + " ranks"), Not(HasSubstr("rank 1: "))));
    for (const Json& line : run.metrics("train")) EXPECT_GE(line["rank_imbalance"].get<double>(), 1);
  }
}

// Three prompts: one rank of two has more of them, one of four has none.
Settings three_prompts(Settings more = {}) {
  more.insert(more.end(), {"eval.prompts='" + fixture("tiny_run/pairs_eval.jsonl").string() + "'",
                           "eval.num_prompts=3", "eval.num_samples=2", "eval.max_new_tokens=8"});
  return more;
}

// Two passes over a step, a live reference, a frozen base; and what some ranks do while the others do not.
INSTANTIATE_TEST_SUITE_P(
    Settings, RanksOf,
    testing::Values(Course{"Ddro", [] { return three_prompts(); }},
                    Course{"Bco", [] { return Settings{"objective.loss_type=bco"}; }},
                    Course{"Kto", [] { return Settings{"objective.loss_type=kto"}; }},
                    Course{"LiveReference",
                           [] { return Settings{"reference.precompute_ref_log_probs=false"}; }},
                    Course{"Lora", lora, "adapter_model"},
                    Course{"Adafactor",
                           [] {
                             return Settings{"optimizer.optim=adafactor", "optimizer.learning_rate=1.0e-4",
                                             "distributed.shard=none"};
                           }},
                    Course{"Full", [] { return three_prompts({"distributed.shard=full"}); }},
                    Course{"FullDoraKto",
                           [] {
                             return Settings{"adapter.adapter_type=dora",      "adapter.r=4",
                                             "optimizer.learning_rate=1.0e-2", "objective.loss_type=kto",
                                             "export.adapter=merged",          "distributed.shard=full"};
                           },
                           "adapter_model"},
                    Course{"FullKto",
                           [] {
                             return Settings{"objective.loss_type=kto", "model.gradient_checkpointing=true",
                                             "distributed.shard=full"};
                           }}),
    [](const testing::TestParamInfo<Course>& entry) { return entry.param.name; });

// Of two ranks the sum of the gradients has the same bits whoever adds them up; so has all that follows.
class ShardOf : public testing::TestWithParam<std::pair<const char*, Settings>> {};

TEST_P(ShardOf, TwoRanksGivesTheBitsOfWholeMoments) {
  const TemporaryFolder whole_folder, folder;
  Settings settings = GetParam().second;
  settings.insert(settings.end(), {"optimizer.max_grad_norm=0", "train.num_train_epochs=2"});
  const TinyRun run(folder.path(), settings);
  settings.emplace_back("distributed.shard=none");
  const TinyRun whole(whole_folder.path(), settings);
  ASSERT_EQ(whole.run(ranks(2)), 0) << whole.log_text();
  ASSERT_EQ(run.run(ranks(2)), 0) << run.log_text();
  // trainer.json remembers the gradients' norm, which is summed up in another order.
  EXPECT_EQ(SavedTensors(run, "optimizer").bytes(), SavedTensors(whole, "optimizer").bytes());
  for (const auto& entry : std::filesystem::directory_iterator(whole.output_dir() / "final"))
    EXPECT_EQ(hash_file(run.output_dir() / "final" / entry.path().filename()), hash_file(entry.path()));
}

INSTANTIATE_TEST_SUITE_P(
    Settings, ShardOf,
    testing::Values(std::pair{"ShortMoments", Settings{"optimizer.moment_dtype=float8"}},
                    std::pair{"ExportOfMasters", Settings{"model.dtype=bfloat16", "export.dtype=float32"}},
                    std::pair{"Lora", lora()}),
    [](const testing::TestParamInfo<std::pair<const char*, Settings>>& entry) { return entry.param.first; });

TEST(Ranks, GoOnInAnotherNumber) {
  const TemporaryFolder one_folder;
  const TinyRun one(one_folder.path(), exact());
  ASSERT_EQ(one.run(), 0) << one.log_text();
  const TemporaryFolder folder;
  const TinyRun run(folder.path(), exact());
  for (const auto& [count, step, shard] :
       {std::tuple{1, 3, "optimizer"}, std::tuple{2, 6, "none"}, std::tuple{4, 12, "full"},
        std::tuple{3, 18, "optimizer"}, std::tuple{2, 22, "full"}}) {
    const Settings settings = {"--set", std::string("distributed.shard=") + shard};
    BackgroundProgram program(run.arguments(ranks(count, settings)), run.log().string());
    ASSERT_TRUE(program.wait_for_output("step " + std::to_string(step) + "/28", 60)) << program.output();
    program.send(SIGTERM);
    EXPECT_EQ(program.wait(60).code, 75) << program.output();
    EXPECT_THAT(program.output(), HasSubstr("stopped by SIGTERM after step"));
  }
  ASSERT_EQ(run.run(), 0) << run.log_text();
  EXPECT_THAT(run.log_text(), HasSubstr("ranks"));
  expect_same_metrics(run, one);
  expect_same_weights(run, one, "model");
}

// Each rank writes whole tensors into files of its own: those of a Hugging Face folder.
TEST(Ranks, WriteCheckpointsThatAreModelFolders) {
  const TemporaryFolder folder;
  const TinyRun run(folder.path(),
                    {"distributed.shard=full", "train.max_steps=4", "checkpoint.save_steps=4"});
  ASSERT_EQ(run.run(ranks(3)), 0) << run.log_text();
  EXPECT_EQ(SavedTensors(run, "model").num_files(), 3u);
  EXPECT_EQ(SavedTensors(run, "optimizer").num_files(), 3u);
  const auto checkpoint = run.output_dir() / "checkpoints/step_000004";
  EXPECT_TRUE(std::filesystem::exists(checkpoint / "optimizer-00003-of-00003.safetensors"));
  const std::string program = environment_path("DDRO_TRAIN").string(), out = (folder / "exported").string();
  const ProgramResult exported = run_program({program, "export", checkpoint.string(), "--out", out});
  ASSERT_EQ(exported.exit_code, 0) << exported.err;
  EXPECT_EQ(hash_file(out + "/model.safetensors"), final_hash(run));
  const ProgramResult inspected = run_program({program, "inspect", "checkpoint", checkpoint.string()});
  EXPECT_THAT(inspected.out, AllOf(HasSubstr("verified"), HasSubstr("model-00003-of-00003.safetensors")));
  const ProgramResult compared =
      run_program({source_path(".venv/bin/python").string(),
                   source_path("tests/e2e/check_same_model.py").string(), checkpoint.string(), out});
  EXPECT_EQ(compared.exit_code, 0) << compared.out << compared.err;
}

// By what is shared out: with `full` the ranks wait for each other within each layer.
Settings soon(const char* shard) {
  Settings settings = kSoon;
  settings.emplace_back(std::string("distributed.shard=") + shard);
  return settings;
}

class KilledRank : public testing::TestWithParam<std::pair<int, const char*>> {};
class HangingRank : public testing::TestWithParam<int> {};

// Killed while it trains; the same bits after a resume.
TEST_P(KilledRank, EndsTheOthersAndLosesNothing) {
  const auto [rank, shard] = GetParam();
  const TemporaryFolder straight_folder;
  const TinyRun straight(straight_folder.path(), soon(shard));
  ASSERT_EQ(straight.run(ranks(2)), 0) << straight.log_text();
  const TemporaryFolder folder;
  const TinyRun run(folder.path(), soon(shard));
  {
    BackgroundProgram program(run.arguments(ranks(2)), run.log().string());
    ASSERT_TRUE(program.wait_for_output("step 5/28", 60)) << program.output();
    const std::vector<pid_t> processes = children_of(program.pid());
    ASSERT_EQ(processes.size(), 2u);
    const auto killed = Clock::now();
    kill(processes[static_cast<size_t>(rank)], SIGKILL);
    EXPECT_EQ(program.wait(60).code, 76) << program.output();
    EXPECT_LT(seconds_since(killed), kGoneWithin);
    EXPECT_THAT(program.output(), HasSubstr("rank " + std::to_string(rank)));
    for (const pid_t process : processes) EXPECT_TRUE(is_gone(process));
  }
  ASSERT_EQ(run.run(ranks(2)), 0) << run.log_text();
  EXPECT_EQ(final_hash(run), final_hash(straight));
  EXPECT_EQ(lasting_metrics(run), lasting_metrics(straight));
}

TEST_P(HangingRank, IsFound) {
  const TemporaryFolder folder;
  const TinyRun run(folder.path(), kSoon);
  BackgroundProgram program(run.arguments(ranks(2)), run.log().string());
  ASSERT_TRUE(program.wait_for_output("step 5/28", 60)) << program.output();
  const std::vector<pid_t> processes = children_of(program.pid());
  ASSERT_EQ(processes.size(), 2u);
  const auto halted = Clock::now();
  kill(processes[static_cast<size_t>(GetParam())], SIGSTOP);
  EXPECT_EQ(program.wait(90).code, 76) << program.output();
  EXPECT_LT(seconds_since(halted), 10 + kGoneWithin);  // and the time that the others have to end
  EXPECT_THAT(program.output(), AllOf(HasSubstr("rank " + std::to_string(GetParam())), HasSubstr("is lost"),
                                      HasSubstr("; if it is only slow, raise distributed.timeout_s (10); ")));
  const auto record =
      run.output_dir() / "flight_recorder" / ("rank_" + std::to_string(1 - GetParam()) + ".json");
  EXPECT_FALSE(Json::parse(read_file(record)).at("gloo").at("entries").empty());
  if (GetParam() == 1) {
    EXPECT_THAT(program.output(), ContainsRegex("step [0-9]+ waits for another rank, for 0:0[5-9] now; a "
                                                "step takes 0[.0-9]+ s"));
  }
  for (const pid_t process : processes) EXPECT_TRUE(is_gone(process));
}

// It keeps in touch, but does not come: its first thread alone is halted.
TEST(SlowRank, IsWaitedForNoLongerThanTheTimeOut) {
  const TemporaryFolder folder;
  const TinyRun run(folder.path(), kSoon);
  const int port = free_port();
  BackgroundProgram first(run.arguments(), run.log().string(), started(0, port));
  BackgroundProgram second(run.arguments(), (folder / "second.txt").string(), started(1, port));
  ASSERT_TRUE(first.wait_for_output("step 5/28", 60)) << first.output();
  ASSERT_EQ(ptrace(PTRACE_SEIZE, second.pid(), 0, 0), 0);
  ASSERT_EQ(ptrace(PTRACE_INTERRUPT, second.pid(), 0, 0), 0);
  const auto halted = Clock::now();
  EXPECT_EQ(first.wait(60).code, 76) << first.output();
  EXPECT_LT(seconds_since(halted), kGoneWithin);
  EXPECT_THAT(first.output(),
              ContainsRegex("error: \\[ranks\\] rank 1 on [^ ]+ is lost: it lives, but did not come to an "
                            "exchange with the others in 5 s; if it is only slow, raise "
                            "distributed.timeout_s \\(10\\); the last checkpoint is valid, run the same "
                            "command again\n"));
}

// All its connections end while it trains, to the others and to where they met.
TEST(CutOffRank, EndsAllAndTheRunGoesOn) {
  const TemporaryFolder folder;
  const TinyRun run(folder.path(), soon("full"));
  {
    BackgroundProgram program(run.arguments(ranks(2)), run.log().string());
    ASSERT_TRUE(program.wait_for_output("saved ", 60)) << program.output();
    const std::vector<pid_t> processes = children_of(program.pid());
    ASSERT_EQ(processes.size(), 2u);
    const auto cut = Clock::now();
    ASSERT_GT(cut_links(processes[1], [](size_t) { return true; }), 0);
    EXPECT_EQ(program.wait(60).code, 76) << program.output();
    EXPECT_LT(seconds_since(cut), kGoneWithin);
    EXPECT_THAT(program.output(), HasSubstr("is lost"));
    for (const pid_t process : processes) EXPECT_TRUE(is_gone(process));
  }
  ASSERT_EQ(run.run(ranks(2)), 0) << run.log_text();
  EXPECT_THAT(run.log_text(), HasSubstr("resuming from "));
}

INSTANTIATE_TEST_SUITE_P(Each, KilledRank,
                         testing::Values(std::pair{0, "optimizer"}, std::pair{1, "optimizer"},
                                         std::pair{1, "full"}));
INSTANTIATE_TEST_SUITE_P(Each, HangingRank, testing::Values(0, 1));

// Any rank at any time of a start; `--gtest_shuffle --gtest_repeat=N` takes other times in each round.
TEST(LostRanks, LoseNothingHoweverOftenTheyAre) {
  constexpr int kKills = 8, kRanks = 3;
  std::mt19937 random(static_cast<unsigned>(testing::UnitTest::GetInstance()->random_seed()));
  const TemporaryFolder straight_folder;
  const TinyRun straight(straight_folder.path(), kSoon);
  ASSERT_EQ(straight.run(ranks(kRanks)), 0) << straight.log_text();
  const TemporaryFolder folder;
  const TinyRun run(folder.path(), kSoon);
  int lost = 0;
  for (int i = 0; i < kKills; ++i) {
    BackgroundProgram program(run.arguments(ranks(kRanks)), run.log().string());
    ExitStatus status = program.wait(std::uniform_real_distribution<>(0.1, 3)(random));
    const std::vector<pid_t> processes = children_of(program.pid());
    const bool all_there = status.timed_out && processes.size() == kRanks;
    const auto killed = Clock::now();
    if (all_there) kill(processes[std::uniform_int_distribution<size_t>(0, kRanks - 1)(random)], SIGKILL);
    if (status.timed_out) status = program.wait(60);
    if (status.code == 0) break;
    ++lost;
    EXPECT_EQ(status.code, 76) << program.output();
    EXPECT_LT(seconds_since(killed), kGoneWithin);
    for (const pid_t process : processes) EXPECT_TRUE(is_gone(process));
  }
  EXPECT_GT(lost, 0);
  ASSERT_EQ(run.run(ranks(kRanks)), 0) << run.log_text();
  EXPECT_EQ(final_hash(run), final_hash(straight));
  EXPECT_EQ(lasting_metrics(run), lasting_metrics(straight));
}

TEST(Ranks, OneHasNothingToShareOut) {
  const TemporaryFolder folder;
  const TinyRun run(folder.path());
  for (const auto& [shard, warns] : {std::pair{"none", true}, std::pair{"optimizer", false}}) {
    const ProgramResult result =
        run_program(run.arguments({"--dry-run", "--set", std::string("distributed.shard=") + shard}));
    EXPECT_EQ(result.exit_code, 0) << result.err;
    EXPECT_EQ(result.err.find("[distributed.shard] has no effect") != std::string::npos, warns);
  }
}

TEST(Ranks, ShowTheirPlan) {
  const TemporaryFolder folder;
  const TinyRun run(folder.path());
  const ProgramResult result = run_program(run.arguments(ranks(3, {"--dry-run"})));
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("ranks: 3\n"));
  EXPECT_THAT(result.out, testing::ContainsRegex("memory: [0-9.]+ GB a rank at most"));
  EXPECT_THAT(result.out, testing::ContainsRegex(
                              "distributed.shard none [0-9.]+ GB \\(fits\\), optimizer [0-9.]+ "
                              "GB \\(fits\\), full [0-9.]+ GB \\(fits\\); free for each rank: [0-9.]+ GB"));
  EXPECT_FALSE(std::filesystem::exists(run.output_dir()));
}

}  // namespace
}  // namespace ddro::test
