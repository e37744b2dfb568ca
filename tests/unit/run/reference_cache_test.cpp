#include "run/reference_cache.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <fstream>
#include <numeric>
#include <set>

#include "ddro/base/files.h"
#include "ddro/train/score.h"
#include "support/expect_error.h"
#include "support/fixtures.h"
#include "support/scored_apart.h"
#include "support/temporary_folder.h"
#include "support/tiny_model.h"

namespace ddro::run {
namespace {

using ddro::test::message_of;
using test::TemporaryFolder;
using ::testing::AllOf;
using ::testing::HasSubstr;

const Json kKey = {{"weights_hash", "tiny"}};
constexpr data::PackOptions kPack = {.micro_batch_tokens = 40};

std::unique_ptr<models::CausalLm> tiny_reference(std::uint64_t seed = 2) {
  return test::tiny_model(test::tiny_spec(), seed, at::kFloat, /*trainable=*/false);
}

// `stop` after that many micro-batches.
std::function<bool()> after(int batches) {
  return [left = batches]() mutable { return left-- == 0; };
}

const std::function<bool()> never = [] { return false; };

TEST(ReferenceCache, ComputesEveryRowOnceAndOnlyWhatIsMissing) {
  const TemporaryFolder folder;
  const auto reference = tiny_reference();
  const data::Dataset train_set = test::random_dataset(9, /*paired=*/true, 1);
  const data::Dataset eval_set = test::random_dataset(4, /*paired=*/false, 2);
  data::ReferenceCache cache(folder.path(), kKey);
  EXPECT_TRUE(fill_reference_cache(cache, *reference, {{train_set, kPack}}, never));
  EXPECT_EQ(cache.size(), 18u);
  const ReferenceCoverage half = coverage(cache, {{train_set, kPack}, {eval_set, kPack}});
  EXPECT_EQ(half.found, 18);
  EXPECT_EQ(half.rows, 26);
  EXPECT_FALSE(half.is_complete());
  EXPECT_EQ(num_missing_batches(cache, {{train_set, kPack}, {eval_set, kPack}}),
            data::SetPlan(eval_set, kPack).num_micro_batches());
  EXPECT_TRUE(fill_reference_cache(cache, *reference, {{train_set, kPack}, {eval_set, kPack}}, never));
  EXPECT_TRUE(coverage(cache, {{train_set, kPack}, {eval_set, kPack}}).is_complete());

  for (const data::Dataset* set : {&train_set, &eval_set}) {
    const std::vector<double> apart = test::scored_apart(*reference, *set);
    const train::LogProbTable table = reference_table(cache, *set);
    const data::PackedBatch whole = data::SetPlan(*set, {.micro_batch_tokens = 1 << 20}).micro_batch(0);
    const std::vector<double> got = table.of(whole, train::ModelBatch(whole, at::kCPU), false);
    for (size_t i = 0; i < got.size(); ++i)
      EXPECT_NEAR(got[i], apart[static_cast<size_t>(whole.completions[i].step_index)], 1e-3);
  }
  // Nothing is computed any more: a model that would give other numbers changes nothing.
  const std::string bytes = read_file(cache.path());
  EXPECT_TRUE(
      fill_reference_cache(cache, *tiny_reference(3), {{train_set, kPack}, {eval_set, kPack}}, never));
  EXPECT_EQ(read_file(cache.path()), bytes);
}

TEST(ReferenceCache, GivesTheSameFileHoweverItIsInterrupted) {
  const auto reference = tiny_reference();
  data::Dataset set = test::random_dataset(20, /*paired=*/true, 1);
  set.examples.push_back(set.examples[3]);  // a row that occurs twice
  set.wheres.push_back("again");
  const TemporaryFolder straight_folder;
  data::ReferenceCache straight(straight_folder.path(), kKey);
  ASSERT_TRUE(fill_reference_cache(straight, *reference, {{set, kPack}}, never));
  const std::string expected = read_file(straight.path());
  ASSERT_GT(num_missing_batches(data::ReferenceCache(straight_folder / "none", kKey), {{set, kPack}}), 8);

  for (const int batches : {0, 1, 2, 5}) {
    const TemporaryFolder folder;
    int attempts = 0;
    for (bool done = false; !done; ++attempts) {
      data::ReferenceCache cache(folder.path(), kKey);
      done = fill_reference_cache(cache, *reference, {{set, kPack}}, after(batches + attempts));
      const bool is_complete = coverage(cache, {{set, kPack}}).is_complete();
      EXPECT_EQ(is_complete, done);
      // What a kill in the middle of a write leaves: the last record torn, its micro-batch computed again.
      if (!done && cache.size() > 0)
        std::filesystem::resize_file(cache.path(), std::filesystem::file_size(cache.path()) - 5);
    }
    EXPECT_GT(attempts, 1);
    const data::ReferenceCache cache(folder.path(), kKey);
    for (const data::EncodedExample& example : set.examples) {
      for (const data::EncodedSequence& sequence : example.sequences)
        EXPECT_EQ(cache.find(sequence), straight.find(sequence));
    }
    EXPECT_EQ(read_file(cache.path()), expected);
  }
}

TEST(ReferenceCache, VerifiesASampleAgainstTheModel) {
  const TemporaryFolder folder;
  const data::Dataset set = test::random_dataset(30, /*paired=*/true, 1);
  data::ReferenceCache cache(folder.path(), kKey);
  ASSERT_TRUE(fill_reference_cache(cache, *tiny_reference(), {{set, kPack}}, never));
  EXPECT_NO_THROW(verify_reference_cache(cache, *tiny_reference(), {{set, {.micro_batch_tokens = 1000}}}));
  EXPECT_THAT(message_of(ErrorKind::kModel,
                         [&] {
                           verify_reference_cache(cache, *tiny_reference(3), {{set, kPack}});
                         }),
              AllOf(HasSubstr("[" + cache.path().string() +
                              "] does not fit the reference: for random:1 (chosen) it "
                              "has -"),
                    HasSubstr(", the reference gives -"),
                    HasSubstr("expected at most 1e-4 nats a token apart"), HasSubstr("remove the file")));
}

TEST(ReferenceCache, RefusesWhatIsNotFinite) {
  const TemporaryFolder folder;
  const data::Dataset set = test::random_dataset(3, /*paired=*/true, 1);
  const auto broken = tiny_reference();
  broken->parameters().back().second.fill_(std::numeric_limits<double>::infinity());
  data::ReferenceCache cache(folder.path(), kKey);
  EXPECT_THAT(
      message_of(ErrorKind::kModel,
                 [&] {
                   fill_reference_cache(cache, *broken, {{set, kPack}}, never);
                 }),
      AllOf(HasSubstr("[reference] the log-probability of random:"), HasSubstr("is not finite; got nan")));
  EXPECT_EQ(data::ReferenceCache(folder.path(), kKey).size(), 0u);
  const data::PackedBatch batch = data::SetPlan(set, {.micro_batch_tokens = 1 << 20}).micro_batch(0);
  EXPECT_THROW(reference_table(cache, set).of(batch, train::ModelBatch(batch, at::kCPU), false), Error)
      << "a missing value was made up";
}

// A run of a few steps reads few rows of a large set: no others are computed.
TEST(ReadRows, AreThoseOfTheStepsAndNoOthers) {
  const data::Dataset set = test::random_dataset(24, /*paired=*/true, 1);
  const data::StratifiedSampler sampler(set, /*batch_size=*/4, /*seed=*/7);
  const ReadRows rows(set, kPack, sampler, /*num_steps=*/2);
  ASSERT_EQ(rows.num_cuts(), 2);
  std::vector<std::int64_t> expected = sampler.step({.epoch = 0, .step_in_epoch = 0});
  const std::vector<std::int64_t> second = sampler.step({.epoch = 0, .step_in_epoch = 1});
  expected.insert(expected.end(), second.begin(), second.end());
  EXPECT_EQ(rows.examples(), expected);

  const TemporaryFolder folder;
  const auto reference = tiny_reference();
  data::ReferenceCache cache(folder.path(), kKey);
  EXPECT_TRUE(fill_reference_cache(cache, *reference, {rows}, never));
  EXPECT_EQ(cache.size(), 16u);
  EXPECT_TRUE(coverage(cache, {rows}).is_complete());
  EXPECT_EQ(coverage(cache, {{set, kPack}}).found, 16);
  // The values are those of the steps' own micro-batches, to the last bit.
  const data::StepPlan plan = data::plan_step(set, second, kPack);
  const std::vector<double> computed = *train::score(train::ModelLogProbs(*reference), plan, at::kCPU);
  EXPECT_EQ(*train::score(reference_table(cache, set), plan, at::kCPU), computed);
}

// Later epochs of a mixture draw rows that the first did not.
TEST(ReadRows, OfAMixtureAreThoseThatItsEpochsDraw) {
  data::Dataset set = test::random_dataset(40, /*paired=*/true, 1);
  set.mixture = {{20, 0.2}, {40, 0.5}};
  const data::StratifiedSampler sampler(set, /*batch_size=*/4, /*seed=*/7);
  ASSERT_EQ(sampler.steps_per_epoch(), 4);
  for (const std::int64_t steps : {3, 4, 11}) {
    std::set<std::int64_t> drawn;
    data::SamplerState place;
    for (std::int64_t step = 0; step < steps; ++step, place = sampler.next(place)) {
      for (const std::int64_t example : sampler.step(place)) drawn.insert(example);
    }
    const std::vector<std::int64_t> examples = ReadRows(set, kPack, sampler, steps).examples();
    EXPECT_EQ(examples.size(), drawn.size());
    EXPECT_EQ(std::set(examples.begin(), examples.end()), drawn);
  }
}

TEST(ReadRows, OfAWholeEpochAreAllOfTheSet) {
  const data::Dataset set = test::random_dataset(10, /*paired=*/false, 1);
  const data::StratifiedSampler sampler(set, /*batch_size=*/4, /*seed=*/7);
  for (const std::int64_t steps : {sampler.steps_per_epoch(), 3 * sampler.steps_per_epoch()}) {
    const ReadRows rows(set, kPack, sampler, steps);
    EXPECT_EQ(rows.num_cuts(), sampler.steps_per_epoch());
    std::vector<std::int64_t> examples = rows.examples();
    std::sort(examples.begin(), examples.end());
    std::vector<std::int64_t> all(set.examples.size());
    std::iota(all.begin(), all.end(), 0);
    EXPECT_EQ(examples, all);
  }
}

}  // namespace
}  // namespace ddro::run
