#include "ddro/data/packed_batch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <ctime>
#include <numeric>

#include "ddro/base/error.h"
#include "unit/data/example_sets.h"

namespace ddro::data {
namespace {

using testing::AnyOf;
using testing::ElementsAre;

std::vector<std::array<std::int64_t, 4>> segments_of(const PackedBatch& batch) {
  std::vector<std::array<std::int64_t, 4>> result;
  for (const Segment& s : batch.segments) result.push_back({s.begin, s.length, s.parent, s.prefix_length});
  return result;
}
std::vector<std::int64_t> step_rows_of(const PackedBatch& batch) {
  std::vector<std::int64_t> completions;
  for (const PackedCompletion& completion : batch.completions) completions.push_back(completion.step_index);
  return completions;
}
StepPlan plan_all(const Dataset& set, const PackOptions& options) {
  std::vector<std::int64_t> examples(set.examples.size());
  std::iota(examples.begin(), examples.end(), 0);
  return plan_step(set, examples, options);
}
using S = std::array<std::int64_t, 4>;

TEST(PlanStep, SharesThePromptOfAPair) {
  // Ids 1 2 3 | 4 5 chosen, 1 2 3 | 9 rejected.
  const Dataset set = SetBuilder().pair(3, 2, 1).build();
  const StepPlan plan = plan_all(set, {100, 1});
  ASSERT_EQ(plan.micro_batches.size(), 1u);
  const PackedBatch& batch = plan.micro_batches[0];
  EXPECT_THAT(batch.ids_T, ElementsAre(1, 2, 3, 4, 5, 9));
  EXPECT_THAT(batch.positions_T, ElementsAre(0, 1, 2, 3, 4, 3));
  EXPECT_THAT(segments_of(batch), ElementsAre(S{0, 3, -1, 0}, S{3, 2, 0, 3}, S{5, 1, 0, 3}));
  EXPECT_THAT(batch.logit_positions_C, ElementsAre(2, 3, 2));
  EXPECT_THAT(batch.targets_C, ElementsAre(4, 5, 9));
  EXPECT_THAT(batch.completion_offsets, ElementsAre(0, 2, 3));
  EXPECT_EQ(plan.packed_tokens, 6);
  EXPECT_EQ(plan.num_tokens, 9);
  EXPECT_EQ(plan.unshared_pairs, 0);
  EXPECT_EQ(batch.completions[0].partner, 1);
  EXPECT_EQ(batch.completions[1].partner, 0);
  EXPECT_EQ(batch.completions[1].sequence, 1);
  EXPECT_EQ(batch.completions[1].completion_class, CompletionClass::kRejected);
}

TEST(PlanStep, IsCutForTheRanksThatShareItOut) {
  SetBuilder builder;
  for (int i = 0; i < 12; ++i) builder.single(4, 6, CompletionClass::kChosen);
  const Dataset set = builder.build();
  const auto sizes = [&](const PackOptions& options) {
    std::vector<size_t> completions;
    for (const PackedBatch& batch : plan_all(set, options).micro_batches)
      completions.push_back(batch.completions.size());
    return completions;
  };
  EXPECT_THAT(sizes({.micro_batch_tokens = 1000}), ElementsAre(12));
  EXPECT_THAT(sizes({.micro_batch_tokens = 1000, .num_shares = 4}), ElementsAre(3, 3, 3, 3));
  // Three fit the budget: two rounds of two.
  EXPECT_THAT(sizes({.micro_batch_tokens = 40}), ElementsAre(4, 4, 4));
  EXPECT_THAT(sizes({.micro_batch_tokens = 40, .num_shares = 2}), ElementsAre(3, 3, 3, 3));
  EXPECT_EQ(sizes({.micro_batch_tokens = 1000, .num_shares = 64}).size(), 12u);
  EXPECT_TRUE(plan_all(SetBuilder().build(), {.num_shares = 4}).micro_batches.empty());
}

// 9, 6, 6, 9 and 6 tokens: in their order no cut leaves 18 for each of two.
TEST(PlanStep, IsCutIntoNoMoreThanTheRanksNeed) {
  SetBuilder builder;
  for (const int length : {5, 2, 2, 5, 2}) builder.single(4, length, CompletionClass::kChosen);
  const StepPlan plan = plan_all(builder.build(), {.micro_batch_tokens = 1000, .num_shares = 2});
  ASSERT_EQ(plan.micro_batches.size(), 2u);
  EXPECT_EQ(plan.micro_batches[0].ids_T.size() + plan.micro_batches[1].ids_T.size(), 36u);
  for (const PackedBatch& batch : plan.micro_batches)
    EXPECT_THAT(batch.ids_T.size(), AnyOf(15u, 21u)) << "more than the shortest row apart";
}

TEST(PlanStep, RepeatsPromptsThatDifferOrMustNotBeShared) {
  const Dataset different = SetBuilder().pair(3, 2, 1, 1.0, false).build();
  const StepPlan plan = plan_all(different, {100, 1});
  const PackedBatch& batch = plan.micro_batches[0];
  EXPECT_THAT(batch.ids_T, ElementsAre(1, 2, 3, 4, 5, 6, 7, 8, 9));
  EXPECT_THAT(batch.positions_T, ElementsAre(0, 1, 2, 3, 4, 0, 1, 2, 3));
  EXPECT_THAT(segments_of(batch), ElementsAre(S{0, 5, -1, 0}, S{5, 4, -1, 0}));
  EXPECT_THAT(batch.logit_positions_C, ElementsAre(2, 3, 7));
  EXPECT_THAT(batch.targets_C, ElementsAre(4, 5, 9));
  EXPECT_EQ(plan.unshared_pairs, 1);

  const StepPlan unshared = plan_all(SetBuilder().pair(3, 2, 1).build(), {100, 4});
  EXPECT_THAT(segments_of(unshared.micro_batches[0]), ElementsAre(S{0, 5, -1, 0}, S{5, 4, -1, 0}));
  EXPECT_EQ(unshared.unshared_pairs, 0);
}

TEST(PlanStep, SharesWhatThePromptsHaveInCommon) {
  Dataset set = SetBuilder().pair(4, 1, 1).pair(4, 2, 1).single(5, 1, CompletionClass::kChosen).build();
  const auto put = [&](size_t example, size_t sequence, const TokenIds& ids) {
    set.examples[example].sequences[sequence].ids = ids;
  };
  put(0, 0, {1, 2, 3, 4, 20});
  put(0, 1, {1, 2, 3, 4, 21});
  put(1, 0, {1, 2, 3, 9, 30, 31});
  put(1, 1, {1, 2, 3, 9, 32});
  put(2, 0,
      {1, 2, 3, 9, 30, 31});  // a completion that begins as another pair's completion does, and ends there
  const StepPlan plan = plan_all(set, {100, 1});
  const PackedBatch& batch = plan.micro_batches[0];
  EXPECT_THAT(batch.ids_T, ElementsAre(1, 2, 3, 4, 20, 21, 9, 30, 31, 32));
  EXPECT_THAT(batch.positions_T, ElementsAre(0, 1, 2, 3, 4, 4, 3, 4, 5, 4));
  EXPECT_THAT(segments_of(batch), ElementsAre(S{0, 3, -1, 0}, S{3, 1, 0, 3}, S{4, 1, 1, 4}, S{5, 1, 1, 4},
                                              S{6, 1, 0, 3}, S{7, 2, 4, 4}, S{9, 1, 4, 4}));
  EXPECT_THAT(batch.logit_positions_C, ElementsAre(3, 3, 6, 7, 6, 7));
  EXPECT_THAT(batch.targets_C, ElementsAre(20, 21, 30, 31, 32, 31));
  EXPECT_THAT(batch.completion_offsets, ElementsAre(0, 1, 2, 4, 5, 6));

  const StepPlan long_ones_only = plan_all(set, {100, 3});
  EXPECT_THAT(segments_of(long_ones_only.micro_batches[0]),
              ElementsAre(S{0, 3, -1, 0}, S{3, 2, 0, 3}, S{5, 2, 0, 3}, S{7, 3, 0, 3}, S{10, 2, 0, 3}));
}

TEST(PlanStep, PutsEachUnitInTheFirstBatchWithRoom) {
  const Dataset set = SetBuilder()
                          .single(1, 5, CompletionClass::kChosen)
                          .single(1, 6, CompletionClass::kRejected)
                          .single(1, 3, CompletionClass::kChosen)
                          .single(1, 11, CompletionClass::kChosen)  // longer than a micro-batch
                          .single(1, 2, CompletionClass::kRejected)
                          .build();
  const StepPlan plan = plan_all(set, {10, 1});
  ASSERT_EQ(plan.micro_batches.size(), 3u);
  EXPECT_THAT(step_rows_of(plan.micro_batches[0]), ElementsAre(0, 2));
  EXPECT_THAT(step_rows_of(plan.micro_batches[1]), ElementsAre(1, 4));
  EXPECT_THAT(step_rows_of(plan.micro_batches[2]), ElementsAre(3));
}

TEST(PlanStep, SplitsAPairOnlyWhenItDoesNotFit) {
  const Dataset set = SetBuilder().pair(4, 3, 3).pair(4, 4, 3).build();  // 10 and 11 shared tokens
  const StepPlan plan = plan_all(set, {10, 1});
  ASSERT_EQ(plan.micro_batches.size(), 3u);
  EXPECT_THAT(step_rows_of(plan.micro_batches[0]), ElementsAre(0, 1));
  EXPECT_THAT(step_rows_of(plan.micro_batches[1]), ElementsAre(2));
  EXPECT_THAT(step_rows_of(plan.micro_batches[2]), ElementsAre(3));
  EXPECT_THAT(segments_of(plan.micro_batches[1]), ElementsAre(S{0, 8, -1, 0}));
  EXPECT_EQ(plan.micro_batches[1].completions[0].partner, 3);
  EXPECT_EQ(plan.micro_batches[2].completions[0].partner, 2);
}

TEST(PlanStep, CountsTheWholeStepWithWeights) {
  const StepPlan pairs = plan_all(SetBuilder().pair(2, 3, 4, 2.0).pair(2, 1, 1, 0.5).build(), {1, 1});
  EXPECT_EQ(pairs.counts.chosen, 2.5);
  EXPECT_EQ(pairs.counts.rejected, 2.5);
  EXPECT_EQ(pairs.counts.pairs, 2.5);
  EXPECT_EQ(pairs.counts.chosen_tokens, 2.0 * 3 + 0.5);
  EXPECT_EQ(pairs.num_sequences, 4);
  EXPECT_EQ(pairs.num_tokens, 5 + 6 + 3 + 3);
  EXPECT_EQ(pairs.micro_batches.size(), 4u);
  const StepPlan completions = plan_all(SetBuilder()
                                            .single(2, 3, CompletionClass::kChosen, 3.0)
                                            .single(2, 1, CompletionClass::kRejected)
                                            .build(),
                                        {100, 1});
  EXPECT_EQ(completions.counts.chosen, 3.0);
  EXPECT_EQ(completions.counts.rejected, 1.0);
  EXPECT_EQ(completions.counts.pairs, 0.0);
  EXPECT_EQ(completions.counts.chosen_tokens, 9.0);
  EXPECT_EQ(completions.micro_batches[0].completions[0].partner, -1);
  EXPECT_EQ(completions.micro_batches[0].completions[0].weight, 3.0);
}

TEST(PlanStep, NumbersRowsInTheOrderOfTheExamples) {
  const Dataset set = SetBuilder().pair(1, 1, 1).pair(1, 1, 1).build();
  const std::vector<std::int64_t> order = {1, 0};
  const StepPlan plan = plan_step(set, order, {100, 1});
  EXPECT_EQ(plan.examples, order);
  EXPECT_EQ(plan.micro_batches[0].completions[0].example, 1);
  EXPECT_THAT(step_rows_of(plan.micro_batches[0]), ElementsAre(0, 1, 2, 3));
  EXPECT_TRUE(plan_step(set, {}, {100, 1}).micro_batches.empty());
}

TEST(PlanStep, ChecksItsArguments) {
  const Dataset set = SetBuilder().pair(1, 1, 1).build();
  const std::vector<std::int64_t> first = {0};
  EXPECT_THROW(plan_step(set, first, {0, 1}), Error);
  EXPECT_THROW(plan_step(SetBuilder().single(0, 3, CompletionClass::kChosen).build(), first, {9, 1}), Error);
  EXPECT_THROW(plan_step(SetBuilder().single(3, 0, CompletionClass::kChosen).build(), first, {9, 1}), Error);
}

std::vector<std::int64_t> step_rows_of(const SetPlan& plan, std::int64_t index) {
  std::vector<std::int64_t> completions;
  for (const PackedCompletion& completion : plan.completions(index))
    completions.push_back(completion.step_index);
  return completions;
}

TEST(SetPlan, TakesTheLongestFirstAndFillsOneBatchAfterTheOther) {
  const Dataset set = SetBuilder()
                          .single(1, 1, CompletionClass::kChosen)
                          .single(1, 5, CompletionClass::kRejected)
                          .single(1, 3, CompletionClass::kChosen)
                          .single(1, 11, CompletionClass::kChosen)  // longer than a micro-batch
                          .single(1, 3, CompletionClass::kRejected)
                          .build();
  const SetPlan plan(set, {10, 1});  // 12 | 6 + 4 | 4 + 2
  ASSERT_EQ(plan.num_micro_batches(), 3);
  EXPECT_THAT(step_rows_of(plan, 0), ElementsAre(3));
  EXPECT_THAT(step_rows_of(plan, 1), ElementsAre(1, 2));
  EXPECT_THAT(step_rows_of(plan, 2), ElementsAre(4, 0));
}

// What is in a micro-batch is what plan_step makes of the same completions in that order.
TEST(SetPlan, PacksAndCountsAsAStepOfTheWholeSet) {
  SetBuilder builder;
  for (std::uint64_t i = 0; i < 40; ++i) {
    builder.pair(random_between(1, 9, 1, i), random_between(1, 12, 2, i), random_between(1, 12, 3, i),
                 1.0 + static_cast<double>(i % 3), i % 4 != 0);
  }
  const Dataset set = builder.build();
  const SetPlan plan(set, {40, 1});
  const StepPlan whole = plan_all(set, {1 << 20, 1});
  EXPECT_EQ(plan.num_completions(), whole.num_sequences);
  EXPECT_EQ(plan.num_tokens(), whole.num_tokens);
  EXPECT_EQ(plan.counts().pairs, whole.counts.pairs);
  EXPECT_EQ(plan.counts().chosen_tokens, whole.counts.chosen_tokens);
  std::vector<int> seen(80);
  std::int64_t tokens = 0;  // a shared one for each completion that has it
  for (std::int64_t i = 0; i < plan.num_micro_batches(); ++i) {
    const PackedBatch batch = plan.micro_batch(i);
    EXPECT_LE(batch.ids_T.size(), 40u);
    EXPECT_EQ(step_rows_of(batch), step_rows_of(plan, i));
    tokens +=
        std::accumulate(batch.num_completions_T.begin(), batch.num_completions_T.end(), std::int64_t{0});
    std::vector<std::int64_t> examples;
    for (const PackedCompletion& completion : batch.completions) {
      ++seen.at(static_cast<size_t>(completion.step_index));
      EXPECT_EQ(completion.step_index, 2 * completion.example + completion.sequence);
      if (examples.empty() || examples.back() != completion.example) examples.push_back(completion.example);
    }
    const StepPlan same = plan_step(set, examples, {40, 1});
    ASSERT_EQ(same.micro_batches.size(), 1u);
    EXPECT_EQ(same.micro_batches[0].ids_T, batch.ids_T);
    EXPECT_EQ(same.micro_batches[0].positions_T, batch.positions_T);
    EXPECT_EQ(same.micro_batches[0].logit_positions_C, batch.logit_positions_C);
    EXPECT_EQ(same.micro_batches[0].completion_offsets, batch.completion_offsets);
    EXPECT_EQ(segments_of(same.micro_batches[0]), segments_of(batch));
  }
  EXPECT_THAT(seen, testing::Each(1));
  EXPECT_EQ(tokens, plan.num_tokens());
}

TEST(SetPlan, OfNoExamplesHasNoMicroBatches) {
  EXPECT_EQ(SetPlan(Dataset(), {10, 1}).num_micro_batches(), 0);
}

// First-fit over as many micro-batches would take minutes.
TEST(SetPlan, CutsALargeSetInNoTime) {
  SetBuilder builder;
  for (std::uint64_t i = 0; i < 200'000; ++i)
    builder.single(1, random_between(1, 9, 1, i), CompletionClass::kChosen);
  const Dataset set = builder.build();
  const std::clock_t start = std::clock();
  const SetPlan plan(set, {12, 1});
  EXPECT_GT(plan.num_micro_batches(), 80'000);
  EXPECT_LT(static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC, 2);
}

}  // namespace
}  // namespace ddro::data
