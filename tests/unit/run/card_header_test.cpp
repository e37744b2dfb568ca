#include "run/card_header.h"

#include <gtest/gtest.h>

namespace ddro::run {
namespace {

struct Path {
  const char* given;
  const char* shown;
};

class PublicName : public testing::TestWithParam<Path> {};

TEST_P(PublicName, LeavesOutWhereTheMachineHasIt) {
  EXPECT_EQ(public_name(GetParam().given), GetParam().shown);
}

INSTANTIATE_TEST_SUITE_P(
    Paths, PublicName,
    testing::Values(Path{"data/pairs.jsonl", "data/pairs.jsonl"}, Path{"./data/*.jsonl", "data/*.jsonl"},
                    Path{"/home/ann/rows/pairs.jsonl", "pairs.jsonl"}, Path{"/home/ann/base/", "base"},
                    Path{"../ann/pairs.jsonl", "pairs.jsonl"}, Path{"a/../../pairs.jsonl", "pairs.jsonl"},
                    Path{"/c/hub/datasets--org--pairs/snapshots/12ab/data/train.parquet", "org/pairs"},
                    Path{"/c/hub/models--gpt2/snapshots/12ab", "gpt2"},
                    Path{"/c/models--org--name/other/file", "file"}));

}  // namespace
}  // namespace ddro::run
