// Two encoded sets, field by field and bit for bit.
#pragma once

#include <gtest/gtest.h>

#include <bit>
#include <cstdint>

#include "ddro/data/dataset.h"

namespace ddro::test {

inline void expect_same_set(const data::Dataset& got, const data::Dataset& expected) {
  EXPECT_EQ(got.kind, expected.kind);
  EXPECT_EQ(got.content_hash, expected.content_hash);
  EXPECT_EQ(got.wheres.all(), expected.wheres.all());
  EXPECT_EQ(got.file_ends, expected.file_ends);
  EXPECT_EQ(got.report.num_rows, expected.report.num_rows);
  EXPECT_EQ(got.report.num_boundary_merges, expected.report.num_boundary_merges);
  EXPECT_EQ(got.report.num_control_text, expected.report.num_control_text);
  EXPECT_EQ(got.report.num_truncated, expected.report.num_truncated);
  EXPECT_EQ(got.report.num_shorter_prompts, expected.report.num_shorter_prompts);
  EXPECT_EQ(got.report.num_other_turns, expected.report.num_other_turns);
  EXPECT_EQ(got.report.num_duplicates, expected.report.num_duplicates);
  EXPECT_EQ(got.report.num_both_labels, expected.report.num_both_labels);
  EXPECT_EQ(got.report.num_chosen_equals_rejected, expected.report.num_chosen_equals_rejected);
  EXPECT_EQ(got.report.ignored_fields, expected.report.ignored_fields);
  ASSERT_EQ(got.dropped.size(), expected.dropped.size());
  for (size_t i = 0; i < got.dropped.size(); ++i) {
    EXPECT_EQ(got.dropped[i].row, expected.dropped[i].row);
    EXPECT_EQ(got.dropped[i].where, expected.dropped[i].where);
    EXPECT_EQ(got.dropped[i].reason, expected.dropped[i].reason);
  }
  ASSERT_EQ(got.examples.size(), expected.examples.size());
  for (size_t i = 0; i < got.examples.size(); ++i) {
    const data::EncodedExample& example = got.examples[i];
    const data::EncodedExample& other = expected.examples[i];
    EXPECT_EQ(example.row, other.row);
    EXPECT_EQ(std::bit_cast<std::uint64_t>(example.weight), std::bit_cast<std::uint64_t>(other.weight));
    ASSERT_EQ(example.sequences.size(), other.sequences.size());
    for (size_t k = 0; k < example.sequences.size(); ++k) {
      EXPECT_EQ(example.sequences[k].ids, other.sequences[k].ids);
      EXPECT_EQ(example.sequences[k].completion_start, other.sequences[k].completion_start);
      EXPECT_EQ(example.sequences[k].completion_class, other.sequences[k].completion_class);
    }
  }
}

}  // namespace ddro::test
