#include "ddro/data/mismatched.h"

#include <gmock/gmock.h>

#include "unit/data/example_sets.h"

namespace ddro::data {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

Dataset with_names(Dataset set) {
  for (size_t i = 0; i < set.examples.size(); ++i) set.wheres.push_back("row " + std::to_string(i));
  return set;
}

TEST(Mismatched, GivesEachPromptTheCompletionOfTheExampleBefore) {
  // Ids 1 2 | 3 chosen, 4 | 5 6 rejected, 7 8 9 | 10 11 chosen.
  const Dataset set = with_names(SetBuilder()
                                     .single(2, 1, CompletionClass::kChosen)
                                     .single(1, 2, CompletionClass::kRejected, 3.0)
                                     .single(3, 2, CompletionClass::kChosen)
                                     .build());
  const std::vector<std::int64_t> order = {2, 0, 1};
  const Dataset mixed = mismatched_examples(set, order, 100);
  ASSERT_EQ(mixed.examples.size(), 3u);
  EXPECT_THAT(mixed.examples[0].sequences[0].ids, ElementsAre(7, 8, 9, 5, 6));
  EXPECT_THAT(mixed.examples[1].sequences[0].ids, ElementsAre(1, 2, 10, 11));
  EXPECT_THAT(mixed.examples[2].sequences[0].ids, ElementsAre(4, 3));
  EXPECT_EQ(mixed.examples[0].sequences[0].completion_start, 3);
  EXPECT_EQ(mixed.examples[2].sequences[0].completion_class, CompletionClass::kRejected);
  EXPECT_EQ(mixed.examples[2].weight, 3.0);
  EXPECT_EQ(mixed.kind, RowKind::kUnpaired);
  EXPECT_THAT(mixed.wheres.all(), ElementsAre("row 2", "row 0", "row 1"));
}

TEST(Mismatched, KeepsTheSidesOfPairs) {
  // Ids 1 2 | 3 chosen, 1 2 | 6 7 rejected; 8 | 9 10 chosen, 8 | 12 rejected.
  const Dataset set = with_names(SetBuilder().pair(2, 1, 2).pair(1, 2, 1).build());
  const Dataset mixed = mismatched_examples(set, std::vector<std::int64_t>{0, 1}, 100);
  EXPECT_THAT(mixed.examples[0].sequences[0].ids, ElementsAre(1, 2, 9, 10));
  EXPECT_THAT(mixed.examples[0].sequences[1].ids, ElementsAre(1, 2, 12));
  EXPECT_THAT(mixed.examples[1].sequences[0].ids, ElementsAre(8, 3));
  EXPECT_THAT(mixed.examples[1].sequences[1].ids, ElementsAre(8, 6, 7));
}

TEST(Mismatched, CutsCompletionsAtTheLimitAndKeepsOneToken) {
  const Dataset set = with_names(
      SetBuilder().single(2, 4, CompletionClass::kChosen).single(4, 1, CompletionClass::kRejected).build());
  const std::vector<std::int64_t> all = {0, 1};
  const auto lengths = [&](std::int64_t limit) {
    std::vector<size_t> out;
    for (const EncodedExample& example : mismatched_examples(set, all, limit).examples)
      out.push_back(example.sequences[0].ids.size());
    return out;
  };
  EXPECT_THAT(lengths(8), ElementsAre(3, 8));
  EXPECT_THAT(lengths(6), ElementsAre(3, 6));
  EXPECT_THAT(lengths(4), ElementsAre(3, 5));
}

TEST(Mismatched, NeedsTwoExamples) {
  const Dataset set = with_names(SetBuilder().single(2, 4, CompletionClass::kChosen).build());
  EXPECT_THAT(mismatched_examples(set, std::vector<std::int64_t>{0}, 10).examples, IsEmpty());
  EXPECT_THAT(mismatched_examples(set, {}, 10).examples, IsEmpty());
}

}  // namespace
}  // namespace ddro::data
