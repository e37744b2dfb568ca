// Parquet files of pyarrow and datasets against the same rows as JSON lines (tests/fixtures/make_parquet.py).
#include <gmock/gmock.h>

#include "parity/data/column_files.h"

namespace ddro::test {
namespace {

using testing::StartsWith;

class ParquetRows : public testing::TestWithParam<const char*> {};

TEST_P(ParquetRows, AreThoseOfTheLines) {
  expect_rows_of_lines(fixture(std::string("parquet/") + GetParam() + ".parquet"));
}

INSTANTIATE_TEST_SUITE_P(All, ParquetRows,
                         testing::Values("datasets_pairs", "datasets_labels", "none", "snappy", "gzip",
                                         "zstd", "lz4", "brotli", "page_v2", "types", "lists", "checksums"),
                         [](const auto& test) { return std::string(test.param); });

TEST(Parquet, NamesTheColumnsThatAreNotRead) {
  EXPECT_THAT(load(fixture("parquet/datasets_labels.parquet")).report.ignored_fields,
              testing::ElementsAre("image"));
  EXPECT_THAT(load(fixture("parquet/datasets_pairs.parquet")).report.ignored_fields,
              testing::UnorderedElementsAre("prompt_id", "score_chosen", "made"));
}

TEST(Parquet, ATextThatIsNotUtf8IsABadRow) {
  const std::filesystem::path file = fixture("parquet/invalid_utf8.parquet");
  EXPECT_THAT(message_of(ErrorKind::kInput, [&] { load(file); }),
              StartsWith("[data] " + file.string() + ": row 2: not valid UTF-8 at byte 1"));
  EXPECT_EQ(load(file, data::OnBadRow::kDrop).examples.size(), 1u);
}

// Files whose pages have checksums, cut or with a byte changed anywhere: refused with one line, or what they
// were.
TEST(Parquet, DamageIsRefusedWithOneLine) {
  const std::filesystem::path file = fixture("parquet/checksums.parquet");
  const size_t whole = std::filesystem::file_size(file);
  for (const size_t size : {size_t{0}, size_t{3}, size_t{11}, whole / 2, whole - 9, whole - 1})
    expect_cut_refused(file, size, "the Parquet data are damaged, cut off or encrypted; ");
  const data::Dataset rows = load(file);
  EXPECT_GT(change_bytes(file, [&](const data::Dataset& found) { expect_same_rows(found, rows); }), 50);
}

}  // namespace
}  // namespace ddro::test
