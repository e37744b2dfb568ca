// Parquet files of pyarrow and datasets against the same rows as JSON lines (tests/fixtures/make_parquet.py).
#include <gmock/gmock.h>

#include "ddro/base/files.h"
#include "ddro/base/hash.h"
#include "ddro/data/dataset.h"
#include "support/expect_error.h"
#include "support/fixtures.h"
#include "support/temporary_folder.h"

namespace ddro::test {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

const text::ModelText& model_text() {
  static const text::ModelText text =
      text::load_model_text(source_path("models/SmolLM2-135M-Instruct"), std::nullopt);
  return text;
}

data::Dataset load(const std::filesystem::path& file, data::OnBadRow on_bad_row = data::OnBadRow::kError) {
  data::DataOptions options;
  options.max_length = 1 << 20;
  options.on_bad_row = on_bad_row;
  return data::load_dataset({file.string()}, options, model_text(), 0);
}

void expect_same_rows(const data::Dataset& rows, const data::Dataset& lines) {
  ASSERT_EQ(rows.examples.size(), lines.examples.size());
  EXPECT_EQ(rows.kind, lines.kind);
  for (size_t i = 0; i < rows.examples.size(); ++i) {
    const data::EncodedExample& row = rows.examples[i];
    const data::EncodedExample& line = lines.examples[i];
    ASSERT_EQ(row.weight, line.weight);
    ASSERT_EQ(row.sequences.size(), line.sequences.size());
    for (size_t k = 0; k < row.sequences.size(); ++k) {
      ASSERT_EQ(row.sequences[k].ids, line.sequences[k].ids) << "row " << i;
      ASSERT_EQ(row.sequences[k].completion_start, line.sequences[k].completion_start);
      ASSERT_EQ(row.sequences[k].completion_class, line.sequences[k].completion_class);
    }
  }
}

class ParquetRows : public testing::TestWithParam<const char*> {};

TEST_P(ParquetRows, AreThoseOfTheLines) {
  const std::filesystem::path file = fixture(std::string("parquet/") + GetParam() + ".parquet");
  const data::Dataset rows = load(file);
  const data::Dataset lines = load(std::filesystem::path(file).replace_extension(".jsonl"));
  ASSERT_GE(lines.examples.size(), 50u);
  expect_same_rows(rows, lines);
  for (size_t i = 0; i < rows.wheres.size(); ++i)
    ASSERT_EQ(rows.wheres[i], file.string() + ": row " + std::to_string(i + 1));
  EXPECT_EQ(rows.content_hash, hash_file(file));
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
  const TemporaryFolder folder;
  const std::filesystem::path file = fixture("parquet/checksums.parquet");
  const std::string whole = read_file(file);
  const data::Dataset rows = load(file);
  const auto load_bytes = [&](const std::string& bytes) { return load(folder.write("rows.parquet", bytes)); };
  const std::string place = "[data] " + (folder / "rows.parquet").string() + ": ";
  for (const size_t size :
       {size_t{0}, size_t{3}, size_t{11}, whole.size() / 2, whole.size() - 9, whole.size() - 1}) {
    EXPECT_THAT(message_of(ErrorKind::kInput, [&] { load_bytes(whole.substr(0, size)); }),
                StartsWith(place + "the Parquet data are damaged, cut off or encrypted; "));
  }
  int refused = 0;
  for (size_t at = 0; at < whole.size(); at += whole.size() / 400 + 1) {
    std::string damaged = whole;
    damaged[at] = static_cast<char>(~damaged[at]);
    try {
      expect_same_rows(load_bytes(damaged), rows);
    } catch (const Error& error) {
      ++refused;
      EXPECT_EQ(error.kind(), ErrorKind::kInput);
      EXPECT_THAT(error.what(), StartsWith("[data] "));
      EXPECT_THAT(error.what(), Not(HasSubstr("\n")));
    }
  }
  EXPECT_GT(refused, 50);
}

}  // namespace
}  // namespace ddro::test
