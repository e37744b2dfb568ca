#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <numeric>
#include <set>

#include "ddro/data/packed_batch.h"
#include "unit/data/example_sets.h"

namespace ddro::data {
namespace {

constexpr std::int64_t kShareNothing = std::numeric_limits<std::int64_t>::max();

// What a model sees of one completion of a batch: the tokens and positions that its completion tokens can
// attend to, in order.
struct SeenRow {
  std::vector<std::int64_t> ids;
  std::vector<std::int64_t> positions;
};

const Segment& segment_at(const PackedBatch& batch, std::int64_t token) {
  for (const Segment& segment : batch.segments) {
    if (token >= segment.begin && token < segment.begin + segment.length) return segment;
  }
  throw std::out_of_range("a token outside of all segments");
}

SeenRow seen_from(const PackedBatch& batch, std::int64_t last_token) {
  SeenRow seen;
  const auto prepend = [&](std::int64_t begin, std::int64_t end) {
    seen.ids.insert(seen.ids.begin(), batch.ids_T.begin() + begin, batch.ids_T.begin() + end);
    seen.positions.insert(seen.positions.begin(), batch.positions_T.begin() + begin,
                          batch.positions_T.begin() + end);
  };
  const Segment& own = segment_at(batch, last_token);
  prepend(own.begin, last_token + 1);
  for (std::int64_t i = own.parent; i >= 0; i = batch.segments[static_cast<size_t>(i)].parent) {
    const Segment& ancestor = batch.segments[static_cast<size_t>(i)];
    prepend(ancestor.begin, ancestor.begin + ancestor.length);
  }
  return seen;
}

// Each completion token is predicted from exactly what stands before it in its sequence.
void expect_row(const PackedBatch& batch, size_t index, const EncodedSequence& sequence) {
  const auto begin = static_cast<size_t>(batch.completion_offsets[index]);
  const auto end = static_cast<size_t>(batch.completion_offsets[index + 1]);
  ASSERT_EQ(static_cast<std::int64_t>(end - begin), sequence.num_completion_tokens());
  for (size_t c = begin; c < end; ++c) {
    const auto before = static_cast<size_t>(sequence.completion_start) + (c - begin);
    ASSERT_EQ(batch.targets_C[c], sequence.ids[before]);
    const SeenRow seen = seen_from(batch, batch.logit_positions_C[c]);
    ASSERT_EQ(seen.ids,
              std::vector<std::int64_t>(sequence.ids.begin(),
                                        sequence.ids.begin() + static_cast<std::ptrdiff_t>(before)));
    std::vector<std::int64_t> positions(before);
    std::iota(positions.begin(), positions.end(), 0);
    ASSERT_EQ(seen.positions, positions);
  }
}

void expect_tiling(const PackedBatch& batch) {
  std::int64_t next = 0;
  for (size_t i = 0; i < batch.segments.size(); ++i) {
    const Segment& segment = batch.segments[i];
    ASSERT_EQ(segment.begin, next);
    ASSERT_GT(segment.length, 0);
    ASSERT_LT(segment.parent, static_cast<std::int64_t>(i));
    const Segment parent =
        segment.parent < 0 ? Segment{} : batch.segments[static_cast<size_t>(segment.parent)];
    ASSERT_EQ(segment.prefix_length, parent.prefix_length + parent.length);
    next += segment.length;
  }
  ASSERT_EQ(next, static_cast<std::int64_t>(batch.ids_T.size()));
  ASSERT_EQ(batch.positions_T.size(), batch.ids_T.size());
  ASSERT_EQ(batch.completion_offsets.size(), batch.completions.size() + 1);
  ASSERT_EQ(batch.completion_offsets.back(), static_cast<std::int64_t>(batch.targets_C.size()));
  ASSERT_EQ(batch.targets_C.size(), batch.logit_positions_C.size());
}

void expect_lossless(const Dataset& set, const StepPlan& plan, const PackOptions& options) {
  std::vector<PackedCompletion> completions(static_cast<size_t>(plan.num_completions()));
  std::vector<int> times(completions.size());
  std::int64_t packed = 0;
  for (size_t b = 0; b < plan.micro_batches.size(); ++b) {
    const PackedBatch& batch = plan.micro_batches[b];
    expect_tiling(batch);
    packed += static_cast<std::int64_t>(batch.ids_T.size());
    ASSERT_TRUE(static_cast<std::int64_t>(batch.ids_T.size()) <= options.micro_batch_tokens ||
                batch.completions.size() == 1);
    for (size_t i = 0; i < batch.completions.size(); ++i) {
      const PackedCompletion& completion = batch.completions[i];
      ++times.at(static_cast<size_t>(completion.step_index));
      completions[static_cast<size_t>(completion.step_index)] = completion;
      expect_row(batch, i,
                 set.examples[static_cast<size_t>(completion.example)]
                     .sequences[static_cast<size_t>(completion.sequence)]);
    }
  }
  ASSERT_EQ(packed, plan.packed_tokens);
  ASSERT_EQ(times, std::vector<int>(completions.size(), 1)) << "a completion is in one micro-batch, once";

  BatchCounts counts;
  std::int64_t num_tokens = 0;
  size_t next = 0;
  for (const std::int64_t index : plan.examples) {
    const EncodedExample& example = set.examples[static_cast<size_t>(index)];
    for (size_t s = 0; s < example.sequences.size(); ++s, ++next) {
      const EncodedSequence& sequence = example.sequences[s];
      const bool chosen = sequence.completion_class == CompletionClass::kChosen;
      ASSERT_EQ(completions[next].example, index);
      ASSERT_EQ(completions[next].sequence, static_cast<std::int32_t>(s));
      ASSERT_EQ(completions[next].completion_class, sequence.completion_class);
      ASSERT_EQ(completions[next].weight, example.weight);
      ASSERT_EQ(completions[next].partner,
                example.is_pair() ? static_cast<std::int64_t>(s == 0 ? next + 1 : next - 1) : -1);
      (chosen ? counts.chosen : counts.rejected) += example.weight;
      if (chosen)
        counts.chosen_tokens += example.weight * static_cast<double>(sequence.num_completion_tokens());
      counts.pairs += example.is_pair() && chosen ? example.weight : 0.0;
      num_tokens += static_cast<std::int64_t>(sequence.ids.size());
    }
  }
  EXPECT_DOUBLE_EQ(plan.counts.chosen, counts.chosen);
  EXPECT_DOUBLE_EQ(plan.counts.rejected, counts.rejected);
  EXPECT_DOUBLE_EQ(plan.counts.pairs, counts.pairs);
  EXPECT_DOUBLE_EQ(plan.counts.chosen_tokens, counts.chosen_tokens);
  EXPECT_EQ(plan.num_tokens, num_tokens);
  EXPECT_DOUBLE_EQ(plan.counts.rejected_seen, counts.rejected);
  EXPECT_EQ(static_cast<size_t>(plan.num_completions()), next);
}

Dataset random_set(std::uint64_t seed, bool pairs) {
  SetBuilder builder;
  const std::int64_t size = random_between(1, 33, seed, 0);
  for (std::int64_t i = 0; i < size; ++i) {
    const auto draw = [&](std::int64_t low, std::int64_t high, std::uint64_t which) {
      return random_between(low, high, seed, static_cast<std::uint64_t>(i) * 8 + 1 + which);
    };
    const double weight = draw(0, 3, 0) == 0 ? 2.5 : 1.0;
    if (pairs) {
      builder.pair(draw(1, 20, 1), draw(1, 20, 2), draw(1, 20, 3), weight, draw(0, 4, 4) != 0);
    } else {
      builder.single(draw(1, 20, 1), draw(1, 20, 2),
                     draw(0, 1, 3) == 0 ? CompletionClass::kChosen : CompletionClass::kRejected, weight);
    }
  }
  return builder.build();
}

TEST(PackingLaws, NothingIsLostRepeatedOrReordered) {
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    const Dataset set = random_set(seed, seed % 2 == 0);
    const std::vector<std::int64_t> order =
        random_permutation(static_cast<std::int64_t>(set.examples.size()), seed, 99);
    for (const std::int64_t tokens : {1, 20, 31, 60, 1000}) {
      for (const std::int64_t shared : {std::int64_t{1}, std::int64_t{8}, kShareNothing}) {
        SCOPED_TRACE(testing::Message() << "seed " << seed << ", " << tokens << " tokens, from " << shared);
        const PackOptions options{tokens, shared};
        const StepPlan plan = plan_step(set, order, options);
        ASSERT_NO_FATAL_FAILURE(expect_lossless(set, plan, options));
        const StepPlan again = plan_step(set, order, options);
        ASSERT_EQ(plan.micro_batches.size(), again.micro_batches.size());
        for (size_t b = 0; b < again.micro_batches.size(); ++b) {
          ASSERT_EQ(plan.micro_batches[b].ids_T, again.micro_batches[b].ids_T);
        }
      }
    }
  }
}

// Sequences over two ids have beginnings of every kind in common, whole sequences among them.
Dataset tangled_set(std::uint64_t seed) {
  Dataset set;
  for (std::uint64_t i = 0; i < 24; ++i) {
    EncodedSequence sequence;
    std::vector<text::TokenId> ids;
    const auto length = static_cast<size_t>(random_between(2, 9, seed, i));
    for (size_t t = 0; t < length; ++t)
      ids.push_back(static_cast<text::TokenId>(random_between(0, 1, seed, 1000 + i * 16 + t)));
    sequence.ids = ids;
    sequence.completion_start = random_between(1, static_cast<std::int64_t>(length) - 1, seed, 500 + i);
    sequence.completion_class = i % 2 == 0 ? CompletionClass::kChosen : CompletionClass::kRejected;
    EncodedExample example;
    example.row = static_cast<std::int64_t>(i);
    example.sequences = {sequence};
    set.examples.push_back(example);
  }
  return set;
}

TEST(PackingLaws, EveryCommonBeginningStandsOnce) {
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    SCOPED_TRACE(seed);
    const Dataset set = tangled_set(seed);
    std::set<std::vector<text::TokenId>> beginnings;
    for (const EncodedExample& example : set.examples) {
      const auto& ids = example.sequences[0].ids;
      for (auto end = ids.begin() + 1; end <= ids.end(); ++end) beginnings.insert({ids.begin(), end});
    }
    const std::vector<std::int64_t> order = random_permutation(24, seed, 3);
    for (const std::int64_t shared : {std::int64_t{1}, std::int64_t{3}, kShareNothing}) {
      const PackOptions options{1000, shared};
      const StepPlan plan = plan_step(set, order, options);
      ASSERT_EQ(plan.micro_batches.size(), 1u);
      ASSERT_NO_FATAL_FAILURE(expect_lossless(set, plan, options));
      if (shared == 1) {
        EXPECT_EQ(plan.packed_tokens, static_cast<std::int64_t>(beginnings.size()));
      }
      if (shared == kShareNothing) {
        EXPECT_EQ(plan.packed_tokens, plan.num_tokens);
      }
      for (const Segment& segment : plan.micro_batches[0].segments) {
        const bool is_parent = std::any_of(
            plan.micro_batches[0].segments.begin(), plan.micro_batches[0].segments.end(),
            [&](const Segment& other) {
              return other.parent >= 0 &&
                     &plan.micro_batches[0].segments[static_cast<size_t>(other.parent)] == &segment;
            });
        if (is_parent) {
          EXPECT_GE(segment.length, std::min<std::int64_t>(shared, 3));
        }
      }
    }
  }
}

TEST(PackingLaws, PairsStayTogetherWhereTheyFit) {
  for (std::uint64_t seed = 0; seed < 30; ++seed) {
    const Dataset set = random_set(seed, true);
    const std::vector<std::int64_t> order =
        random_permutation(static_cast<std::int64_t>(set.examples.size()), seed, 99);
    const StepPlan plan = plan_step(set, order, {60, 1});  // a pair has at most 80 tokens
    for (const PackedBatch& batch : plan.micro_batches) {
      for (size_t i = 0; i < batch.completions.size(); ++i) {
        const EncodedExample& example = set.examples[static_cast<size_t>(batch.completions[i].example)];
        const auto prompt = example.sequences[0].completion_start;
        const bool shared =
            std::equal(example.sequences[0].ids.begin(), example.sequences[0].ids.begin() + prompt,
                       example.sequences[1].ids.begin());
        const std::int64_t tokens = static_cast<std::int64_t>(example.sequences[0].ids.size()) +
                                    static_cast<std::int64_t>(example.sequences[1].ids.size()) -
                                    (shared ? prompt : 0);
        if (tokens > 60) continue;
        const size_t other = batch.completions[i].sequence == 0 ? i + 1 : i - 1;
        ASSERT_LT(other, batch.completions.size());
        EXPECT_EQ(batch.completions[other].step_index, batch.completions[i].partner);
      }
    }
  }
}

}  // namespace
}  // namespace ddro::data
