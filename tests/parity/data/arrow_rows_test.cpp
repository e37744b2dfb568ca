// Files in Arrow's format of pyarrow and datasets against the same rows as JSON lines
// (tests/fixtures/make_arrow.py).
#include <gmock/gmock.h>

#include "parity/data/column_files.h"

namespace ddro::test {
namespace {

using testing::HasSubstr;

std::string refusal(const std::string& name) {
  return message_of(ErrorKind::kInput, [&] { load(fixture("arrow/" + name + ".arrow")); });
}

class ArrowRows : public testing::TestWithParam<const char*> {};

TEST_P(ArrowRows, AreThoseOfTheLines) {
  expect_rows_of_lines(fixture(std::string("arrow/") + GetParam() + ".arrow"));
}

INSTANTIATE_TEST_SUITE_P(All, ArrowRows,
                         testing::Values("datasets_pairs", "datasets_labels", "file", "lz4", "zstd", "types"),
                         [](const auto& test) { return std::string(test.param); });

TEST(Arrow, NamesTheColumnsThatAreNotRead) {
  EXPECT_THAT(load(fixture("arrow/datasets_labels.arrow")).report.ignored_fields,
              testing::ElementsAre("image"));
}

TEST(Arrow, ColumnsThatNoRowIsMadeOfAreRefused) {
  EXPECT_THAT(refusal("date_label"), HasSubstr("the column \"label\" is of type date32[day]; expected text"));
  EXPECT_THAT(refusal("other_columns"), HasSubstr("row 1: neither a paired nor an unpaired row"));
}

TEST(Arrow, WhatTheFileLiesAboutIsDamage) {
  EXPECT_THAT(refusal("lying"), HasSubstr("the Arrow data are damaged or cut off; In column 1"));
  EXPECT_THAT(refusal("cut_between_batches"), HasSubstr("the mark of the stream's end is missing"));
}

// Arrow's format has no checksums: a changed byte may be a change of a text.
TEST(Arrow, DamageIsRefusedWithOneLine) {
  for (const char* name : {"arrow/datasets_labels.arrow", "arrow/file.arrow", "arrow/types.arrow"}) {
    const std::filesystem::path file = fixture(name);
    const size_t whole = std::filesystem::file_size(file);
    for (const size_t size : {size_t{0}, size_t{5}, size_t{11}, whole / 2, whole - 9, whole - 1})
      expect_cut_refused(file, size, "the Arrow data are damaged or cut off");
    EXPECT_GT(change_bytes(file, [](const data::Dataset&) {}), 5);
  }
}

}  // namespace
}  // namespace ddro::test
