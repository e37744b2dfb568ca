// Files of columns against the same rows as JSON lines.
#pragma once

#include <gmock/gmock.h>

#include <filesystem>
#include <string>

#include "ddro/base/error.h"
#include "ddro/base/files.h"
#include "ddro/base/hash.h"
#include "ddro/data/dataset.h"
#include "support/expect_error.h"
#include "support/fixtures.h"
#include "support/temporary_folder.h"

namespace ddro::test {

inline const text::ModelText& model_text() {
  static const text::ModelText text =
      text::load_model_text(source_path("models/SmolLM2-135M-Instruct"), std::nullopt);
  return text;
}

inline data::Dataset load(const std::filesystem::path& file,
                          data::OnBadRow on_bad_row = data::OnBadRow::kError) {
  data::DataOptions options;
  options.max_length = 1 << 20;
  options.on_bad_row = on_bad_row;
  return data::load_dataset({file.string()}, options, model_text(), 0);
}

inline void expect_same_rows(const data::Dataset& rows, const data::Dataset& lines) {
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

// `file` beside lines of the same name.
inline void expect_rows_of_lines(const std::filesystem::path& file) {
  const data::Dataset rows = load(file);
  const data::Dataset lines = load(std::filesystem::path(file).replace_extension(".jsonl"));
  ASSERT_GE(lines.examples.size(), 50u);
  expect_same_rows(rows, lines);
  for (size_t i = 0; i < rows.wheres.size(); ++i)
    ASSERT_EQ(rows.wheres[i], file.string() + ": row " + std::to_string(i + 1));
  EXPECT_EQ(rows.content_hash, hash_file(file));
}

// Calls `check` with what is made of `file` with a byte changed, at some 400 places: rows, or a refusal with
// one line. How many were refused.
template <typename Check>
int change_bytes(const std::filesystem::path& file, const Check& check) {
  const TemporaryFolder folder;
  const std::string whole = read_file(file);
  int refused = 0;
  for (size_t at = 0; at < whole.size(); at += whole.size() / 400 + 1) {
    std::string damaged = whole;
    damaged[at] = static_cast<char>(~damaged[at]);
    try {
      check(load(folder.write("rows" + file.extension().string(), damaged)));
    } catch (const Error& error) {
      ++refused;
      EXPECT_EQ(error.kind(), ErrorKind::kInput);
      EXPECT_THAT(error.what(), testing::StartsWith("[data] "));
      EXPECT_THAT(error.what(), testing::Not(testing::HasSubstr("\n")));
    }
  }
  return refused;
}

// What is left of `file` when all but the first `size` bytes are gone is refused with this.
inline void expect_cut_refused(const std::filesystem::path& file, size_t size, const std::string& reason) {
  const TemporaryFolder folder;
  const auto rows = folder.write("rows" + file.extension().string(), read_file(file).substr(0, size));
  EXPECT_THAT(message_of(ErrorKind::kInput, [&] { load(rows); }),
              testing::StartsWith("[data] " + rows.string() + ": " + reason));
}

}  // namespace ddro::test
