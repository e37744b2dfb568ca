// The reference's log-probabilities on disk: what is computed, kept, shared, refused.
#include <gmock/gmock.h>

#include <cmath>
#include <csignal>
#include <cstring>

#include "ddro/base/hash.h"
#include "support/run_program.h"
#include "support/temporary_folder.h"
#include "tiny_run.h"

namespace ddro::test {
namespace {

using ddro::test::ddro_train;
using ddro::test::ProgramResult;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr size_t kHeader = 4096;
constexpr size_t kRecord = 32;
constexpr size_t kRows = 143;  // of 56 + 16 pairs; one completion is in both sets

const std::string kLive = "reference.precompute_ref_log_probs=false";
const std::string kShort = "train.num_train_epochs=1";
const std::string kComputed = "log-probabilities written";
const std::string kVerified = "computed again, all fit";

std::string in(const std::filesystem::path& cache) { return "reference.ref_cache_dir=" + cache.string(); }

std::string final_hash(const TinyRun& run) { return hash_file(run.output_dir() / "final/model.safetensors"); }

// The one cache file of a folder.
std::filesystem::path cache_file(const std::filesystem::path& folder) {
  std::filesystem::path found;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() != ".logp") continue;
    if (!found.empty()) throw std::runtime_error("several caches in " + folder.string());
    found = entry.path();
  }
  if (found.empty()) throw std::runtime_error("no cache in " + folder.string());
  return found;
}

std::filesystem::path cache_file(const TinyRun& run) { return cache_file(run.output_dir() / "ref_cache"); }

// The undisturbed short run.
struct Undisturbed {
  TemporaryFolder folder;
  TinyRun run{folder.path(), {kShort}};
  int code = run.run();
};

const TinyRun& undisturbed() {
  static const Undisturbed instance;
  if (instance.code != 0) throw std::runtime_error("the undisturbed run failed: " + instance.run.log_text());
  return instance.run;
}

void expect_same_as_undisturbed(const TinyRun& run, const std::filesystem::path& cache) {
  EXPECT_EQ(final_hash(run), final_hash(undisturbed()));
  EXPECT_EQ(lasting_metrics(run), lasting_metrics(undisturbed()));
  EXPECT_EQ(read_file(cache), read_file(cache_file(undisturbed())));
}

class LiveAndCached : public ::testing::TestWithParam<std::string> {};

TEST_P(LiveAndCached, GiveTheSameMetricsToRounding) {
  const TemporaryFolder live_folder;
  const TemporaryFolder cached_folder;
  const std::string loss = "objective.loss_type=" + GetParam();
  const TinyRun live(live_folder.path(), {"train.max_steps=8", loss, kLive});
  const TinyRun cached(cached_folder.path(), {"train.max_steps=8", loss});
  ASSERT_EQ(live.run(), 0) << live.log_text();
  ASSERT_EQ(cached.run(), 0) << cached.log_text();
  EXPECT_THAT(cached.log_text(), HasSubstr("reference: done, " + std::to_string(kRows) + " " + kComputed));
  EXPECT_FALSE(std::filesystem::exists(live.output_dir() / "ref_cache"));
  EXPECT_EQ(std::filesystem::file_size(cache_file(cached)), kHeader + kRows * kRecord);

  // Policy and reference are one model before the first step, and an evaluation is cut as the cache's rows
  // were.
  EXPECT_EQ(live.metrics("train")[0]["log_ratio/abs_max"], 0);
  EXPECT_LT(cached.metrics("train")[0]["log_ratio/abs_max"].get<double>(), 1e-4);
  EXPECT_EQ(live.metrics("eval")[0]["eval_held_out_log_ratio/abs_max"], 0);
  EXPECT_EQ(cached.metrics("eval")[0]["eval_held_out_log_ratio/abs_max"], 0);
  for (const auto& [kind, prefix] : {std::pair{"train", ""}, {"eval", "eval_held_out_"}}) {
    const auto expected = live.metrics(kind);
    const auto got = cached.metrics(kind);
    ASSERT_EQ(got.size(), expected.size());
    for (size_t i = 0; i < got.size(); ++i) {
      for (const char* name : {"loss", "log_ratio/chosen", "log_ratio/rejected", "logps/chosen"}) {
        const double truth = expected[i][std::string(prefix) + name].get<double>();
        EXPECT_NEAR(got[i][std::string(prefix) + name].get<double>(), truth,
                    1e-3 * std::max(1.0, std::fabs(truth)))
            << kind << " " << i << " " << name;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Losses, LiveAndCached, ::testing::Values("ddro", "dpo"));

TEST(ReferenceCache, IsReusedWhateverElseChanges) {
  const TemporaryFolder folder;
  const auto cache = folder / "shared";
  {
    const TemporaryFolder first;
    ASSERT_EQ(TinyRun(first.path(), {kShort, in(cache)}).run(), 0);
    EXPECT_FALSE(std::filesystem::exists(first / "run/ref_cache"));
  }
  const std::string bytes = read_file(cache_file(cache));
  // The training rows in another order, in a file of another name.
  std::string shuffled;
  const std::string rows = read_file(fixture("tiny_run/pairs_train.jsonl"));
  for (size_t end = rows.size(); end > 0;) {
    const size_t begin = rows.rfind('\n', end - 2) + 1;
    shuffled += rows.substr(begin, end - begin);
    end = begin;
  }
  write_file_atomic(folder / "shuffled.jsonl", shuffled);
  for (const char* change :
       {"train.seed=7", "objective.loss_type=rdro", "objective.loss_type=dpo", "optimizer.learning_rate=1e-4",
        "train.num_train_epochs=2", "train.micro_batch_tokens=100", "data.train_files=[@/shuffled.jsonl]"}) {
    std::string override = change;
    if (const size_t at = override.find('@'); at != std::string::npos)
      override.replace(at, 1, folder.path().string());
    const TemporaryFolder other;
    const TinyRun run(other.path(), {kShort, in(cache), override});
    ASSERT_EQ(run.run(), 0) << run.log_text();
    EXPECT_THAT(run.log_text(), AllOf(Not(HasSubstr(kComputed)), HasSubstr(kVerified))) << change;
  }
  EXPECT_EQ(read_file(cache_file(cache)), bytes);

  // Of other rows only those that are new; another compute type has a file of its own.
  const TemporaryFolder other;
  const std::string labels = "data.train_files=[" + fixture("tiny_run/labels_train.jsonl").string() + "]";
  const TinyRun unpaired(other.path(), {kShort, in(cache), labels});
  ASSERT_EQ(unpaired.run(), 0) << unpaired.log_text();
  EXPECT_THAT(unpaired.log_text(), AllOf(HasSubstr(kComputed), HasSubstr(kVerified)));
  EXPECT_TRUE(read_file(cache_file(cache)).starts_with(bytes));
  const TemporaryFolder third;
  ASSERT_EQ(TinyRun(third.path(), {kShort, in(cache), "model.dtype=float64"}).run(), 0);
  EXPECT_THROW(cache_file(cache), std::runtime_error) << "one file for two compute types";
}

class InterruptedBuild : public ::testing::TestWithParam<int> {};

TEST_P(InterruptedBuild, KeepsWhatItHasAndGoesOnToTheSameBits) {
  const TemporaryFolder folder;
  const TinyRun run(folder.path(), {kShort});
  {
    BackgroundProgram program(run.arguments(), run.log().string(),
                              {"DDRO_FAILPOINT=reference_cache.appended:3:stop"});
    ASSERT_TRUE(program.wait_for_halt(60)) << program.output();
    program.send(GetParam());
    program.send(SIGCONT);
    const ExitStatus status = program.wait(60);
    if (GetParam() == SIGKILL) {
      EXPECT_EQ(status.signal, SIGKILL);
    } else {
      EXPECT_EQ(status.code, 75) << program.output();
      EXPECT_THAT(program.output(), AllOf(HasSubstr("error: [reference] stopped by SIG"),
                                          HasSubstr("of 144 log-probabilities in the cache")));
    }
  }
  const auto part = std::filesystem::file_size(cache_file(run));
  EXPECT_GT(part, kHeader);
  EXPECT_LT(part, kHeader + kRows * kRecord);
  EXPECT_FALSE(std::filesystem::exists(run.output_dir() / "checkpoints"));
  ASSERT_EQ(run.run(), 0) << run.log_text();
  expect_same_as_undisturbed(run, cache_file(run));
}

INSTANTIATE_TEST_SUITE_P(Signals, InterruptedBuild,
                         ::testing::Values(SIGTERM, SIGINT, SIGUSR1, SIGHUP, SIGKILL),
                         [](const ::testing::TestParamInfo<int>& entry) {
                           return sigabbrev_np(entry.param);
                         });

TEST(ReferenceCache, DamageIsLeftOutAndComputedAgain) {
  const TemporaryFolder folder;
  const auto cache = folder / "cache";
  std::filesystem::create_directory(cache);
  const auto file = cache / cache_file(undisturbed()).filename();
  std::string bytes = read_file(cache_file(undisturbed()));
  bytes[kHeader + 7 * kRecord + 18] ^= 1;
  bytes.resize(bytes.size() - 11);
  write_file_atomic(file, bytes);
  const TinyRun run(folder.path(), {kShort, in(cache)});
  ASSERT_EQ(run.run(), 0) << run.log_text();
  EXPECT_THAT(run.log_text(),
              AllOf(HasSubstr("1 damaged records and 21 bytes of a record cut short at its end"),
                    HasSubstr("reference: done, 2 " + kComputed)));
  EXPECT_EQ(final_hash(run), final_hash(undisturbed()));
  const ProgramResult inspected = ddro_train({"inspect", "cache", file.string()});
  EXPECT_THAT(inspected.out, HasSubstr("143 valid, 0 damaged, 0 bytes"));
}

// Values of another model under this model's name.
TEST(ReferenceCache, ValuesThatTheReferenceDoesNotGiveAreRefused) {
  const TemporaryFolder folder;
  const auto cache = folder / "cache";
  std::filesystem::create_directory(cache);
  const auto file = cache / cache_file(undisturbed()).filename();
  std::string bytes = read_file(cache_file(undisturbed()));
  for (size_t at = kHeader; at < bytes.size(); at += kRecord) {
    double logp = 0;
    std::memcpy(&logp, &bytes[at + 16], sizeof logp);
    logp -= 2;
    std::memcpy(&bytes[at + 16], &logp, sizeof logp);
    const auto checksum =
        static_cast<std::uint32_t>(digest_bytes(std::as_bytes(std::span(&bytes[at], 28))).low);
    std::memcpy(&bytes[at + 28], &checksum, sizeof checksum);
  }
  write_file_atomic(file, bytes);
  const TinyRun run(folder.path(), {kShort, in(cache)});
  EXPECT_EQ(run.run(), 3);
  EXPECT_THAT(run.log_text(),
              AllOf(HasSubstr("error: [" + file.string() + "] does not fit the reference: for "),
                    HasSubstr("pairs_train.jsonl:1 (chosen) it has -"), HasSubstr("remove the file")));
  EXPECT_EQ(read_file(file), bytes);
  std::filesystem::remove(file);
  ASSERT_EQ(run.run(), 0) << run.log_text();
  EXPECT_EQ(final_hash(run), final_hash(undisturbed()));
}

TEST(ReferenceCache, AFileOfAnotherReferenceIsRefused) {
  const TemporaryFolder folder;
  const auto cache = folder / "cache";
  {
    const TemporaryFolder first;
    ASSERT_EQ(TinyRun(first.path(), {kShort, in(cache), "model.dtype=float64"}).run(), 0);
  }
  std::filesystem::rename(cache_file(cache), cache / cache_file(undisturbed()).filename());
  const TinyRun run(folder.path(), {kShort, in(cache)});
  EXPECT_EQ(run.run(), 3);
  EXPECT_THAT(run.log_text(), AllOf(HasSubstr("is of another reference; got"), HasSubstr("float64")));
  EXPECT_EQ(run.run({"--dry-run"}), 3);
}

TEST(ReferenceCache, ASecondRunWaitsForTheOneThatWrites) {
  const TemporaryFolder folder;
  const auto cache = folder / "cache";
  const TinyRun first(folder.path(), {kShort, in(cache)});
  BackgroundProgram writer(first.arguments(), first.log().string(),
                           {"DDRO_FAILPOINT=reference_cache.append:2:stop"});
  ASSERT_TRUE(writer.wait_for_halt(60)) << writer.output();

  const TemporaryFolder second_folder;
  const TinyRun second(second_folder.path(), {kShort, in(cache)});
  BackgroundProgram waiting(second.arguments(), second.log().string());
  const std::string holder = "waiting for process " + std::to_string(writer.pid());
  ASSERT_TRUE(waiting.wait_for_output(holder, 60)) << waiting.output();
  writer.send(SIGCONT);
  EXPECT_EQ(writer.wait(60).code, 0) << writer.output();
  EXPECT_EQ(waiting.wait(60).code, 0) << waiting.output();
  EXPECT_THAT(waiting.output(), HasSubstr("reference: done, 0 " + kComputed));
  for (const TinyRun& run : {first, second}) expect_same_as_undisturbed(run, cache_file(cache));
}

TEST(ReferenceCache, AWaitingRunCanBeStopped) {
  const TemporaryFolder folder;
  const auto cache = folder / "cache";
  const TinyRun first(folder.path(), {kShort, in(cache)});
  BackgroundProgram writer(first.arguments(), first.log().string(),
                           {"DDRO_FAILPOINT=reference_cache.append:1:stop"});
  ASSERT_TRUE(writer.wait_for_halt(60)) << writer.output();
  const TemporaryFolder second_folder;
  const TinyRun second(second_folder.path(), {kShort, in(cache)});
  BackgroundProgram waiting(second.arguments(), second.log().string());
  ASSERT_TRUE(waiting.wait_for_output("waiting for process", 60)) << waiting.output();
  waiting.send(SIGTERM);
  EXPECT_EQ(waiting.wait(60).code, 75) << waiting.output();
  EXPECT_THAT(waiting.output(), HasSubstr("stopped by SIGTERM while waiting for"));
}

TEST(ReferenceCache, HasNoEvaluationRowsWhereNothingIsEvaluated) {
  const TemporaryFolder folder;
  const TinyRun run(folder.path(), {kShort, "eval.eval_strategy=no"});
  ASSERT_EQ(run.run(), 0) << run.log_text();
  EXPECT_THAT(run.log_text(), HasSubstr("reference: done, 112 " + kComputed));  // of 56 pairs
}

TEST(ReferenceCache, IsNotMadeForALossWithoutAReference) {
  const TemporaryFolder folder;
  const TinyRun run(folder.path(), {kShort, "objective.loss_type=sft"});
  ASSERT_EQ(run.run(), 0) << run.log_text();
  EXPECT_FALSE(std::filesystem::exists(run.output_dir() / "ref_cache"));
  EXPECT_THAT(run.log_text(), Not(HasSubstr("reference:")));
}

TEST(ReferenceCache, IsNotMadeForKtoWhoseReferenceStaysInMemory) {
  const TemporaryFolder folder;
  const TinyRun run(folder.path(), {kShort, "objective.loss_type=kto"});
  ASSERT_EQ(run.run(), 0) << run.log_text();
  EXPECT_FALSE(std::filesystem::exists(run.output_dir() / "ref_cache"));
  EXPECT_THAT(run.log_text(), HasSubstr("reference: stays in memory"));
  EXPECT_EQ(run.metrics("train")[0]["log_ratio/abs_max"], 0);
}

TEST(ReferenceCache, ALiveRunGoesOnWithItAndBack) {
  // A rate that does not depend on where the run ends.
  const std::string constant = "optimizer.lr_scheduler_type=constant";
  const TemporaryFolder straight_folder;
  const TinyRun straight(straight_folder.path(), {kShort, constant});
  ASSERT_EQ(straight.run(), 0) << straight.log_text();
  const TemporaryFolder folder;
  ASSERT_EQ(TinyRun(folder.path(), {"train.max_steps=1", constant, kLive}).run(), 0);
  const TinyRun cached(folder.path(), {"train.max_steps=2", constant});
  ASSERT_EQ(cached.run(), 0) << cached.log_text();
  EXPECT_THAT(cached.log_text(),
              HasSubstr("reference_log_probs: live -> cached: the same run, but bits may differ"));
  const TinyRun live(folder.path(), {kShort, constant, kLive});
  ASSERT_EQ(live.run(), 0) << live.log_text();
  EXPECT_THAT(live.log_text(), HasSubstr("reference_log_probs: cached -> live"));
  const auto expected = straight.metrics("train");
  const auto got = live.metrics("train");
  ASSERT_EQ(got.size(), expected.size());
  for (size_t i = 0; i < got.size(); ++i)
    EXPECT_NEAR(got[i]["loss"].get<double>(), expected[i]["loss"].get<double>(), 1e-3) << i;
}

TEST(ReferenceCache, AnEvaluationReadsItWhereItIsComplete) {
  const TemporaryFolder folder;
  const TinyRun run(folder.path(), {kShort});
  ASSERT_EQ(run.run(), 0) << run.log_text();
  const auto evaluate = [&](const std::string& log) {
    const ProgramResult result = ddro_train({"eval", run.config().string()});
    EXPECT_EQ(result.exit_code, 0) << result.err;
    EXPECT_THAT(result.err, HasSubstr(log));
    return Json::parse(result.out)["eval_held_out_loss"].get<double>();
  };
  const double cached = evaluate(kVerified);
  EXPECT_EQ(cached, run.metrics("eval").back()["eval_held_out_loss"].get<double>());
  std::filesystem::remove_all(run.output_dir() / "ref_cache");
  EXPECT_NEAR(evaluate("does not have every row; computed by the model"), cached, 1e-4);
  EXPECT_FALSE(std::filesystem::exists(run.output_dir() / "ref_cache"));
}

TEST(ReferenceCache, ADryRunSaysWhatWouldBeComputed) {
  const TemporaryFolder folder;
  const TinyRun run(folder.path(), {kShort});
  const auto plan = [&] {
    std::vector<std::string> arguments = run.arguments({"--dry-run"});
    const ProgramResult result = ddro::test::run_program(arguments);
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return result.out;
  };
  EXPECT_THAT(plan(),
              ::testing::ContainsRegex("reference cache: .*/run/ref_cache/reference_[0-9a-f]{32}.logp, has "
                                       "0 of 144 log-probabilities; 144 are computed first, in [0-9]{2}"));
  EXPECT_FALSE(std::filesystem::exists(run.output_dir()));
  ASSERT_EQ(run.run(), 0) << run.log_text();
  EXPECT_THAT(plan(),
              HasSubstr("has 144 of 144 log-probabilities; 0 are computed first, in 0 micro-batches"));
}

TEST(InspectCache, ShowsWhatAFileOrFolderHolds) {
  const auto file = cache_file(undisturbed());
  const ProgramResult one = ddro_train({"inspect", "cache", file.string()});
  EXPECT_EQ(one.exit_code, 0) << one.err;
  EXPECT_THAT(one.out, AllOf(HasSubstr("cache    " + file.string() + "\n"), HasSubstr("dtype: float32\n"),
                             HasSubstr("\"hidden_size\":32"), HasSubstr("records  143 valid, 0 damaged"),
                             HasSubstr("bytes    8672\n")));
  EXPECT_EQ(ddro_train({"inspect", "cache", file.parent_path().string()}).out, one.out);
  const TemporaryFolder folder;
  const ProgramResult none = ddro_train({"inspect", "cache", folder.path().string()});
  EXPECT_EQ(none.exit_code, 3);
  EXPECT_THAT(none.err, HasSubstr("holds no cache"));
  std::string bytes = read_file(file);
  bytes[20] ^= 1;
  write_file_atomic(folder / "reference_x.logp", bytes);
  const ProgramResult damaged = ddro_train({"inspect", "cache", folder.path().string()});
  EXPECT_EQ(damaged.exit_code, 3);
  EXPECT_EQ(damaged.out, "");
  EXPECT_THAT(damaged.err, HasSubstr("reference_x.logp] has a damaged header"));
}

}  // namespace
}  // namespace ddro::test
