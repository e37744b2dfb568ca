// Sets of real rows read from the cache against the same sets encoded afresh: real tokenizers and templates.
#include <gmock/gmock.h>

#include "ddro/data/token_cache.h"
#include "support/fixtures.h"
#include "support/same_set.h"
#include "support/temporary_folder.h"

namespace ddro::test {
namespace {

// (model, file, max_length)
using RealRows = std::tuple<std::string, std::string, int>;

class CachedRows : public ::testing::TestWithParam<RealRows> {};

TEST_P(CachedRows, EqualThoseOfAFreshLoad) {
  const auto& [model, file, max_length] = GetParam();
  const bool is_fixture = file.starts_with("encoded_rows/");
  const std::vector<std::string> files = {is_fixture ? fixture(file) : source_path(file)};
  const text::ModelText text = text::load_model_text(
      model == "smollm2" ? source_path("models/SmolLM2-135M-Instruct") : fixture(model), std::nullopt);
  const TemporaryFolder folder;
  const data::TokenCache cache{folder.path(), "this build", /*min_bytes=*/1};
  for (const auto on_overlength : {data::OnOverlength::kDrop, data::OnOverlength::kTruncate}) {
    data::DataOptions options;
    options.max_length = max_length;
    options.on_overlength = on_overlength;
    options.on_bad_row = data::OnBadRow::kDrop;
    const data::Dataset fresh = data::load_dataset(files, options, text, 0);
    EXPECT_GT(fresh.examples.size(), 10u);
    EXPECT_GT(fresh.dropped.size() + static_cast<size_t>(fresh.report.num_truncated), 0u);

    const data::LoadedSet first = data::load_dataset(files, options, text, 0, cache);
    ASSERT_TRUE(first.missing);
    expect_same_set(first.dataset, fresh);
    data::write_token_cache(*first.missing, first.dataset);
    const data::LoadedSet second = data::load_dataset(files, options, text, 0, cache);
    EXPECT_FALSE(second.missing);
    expect_same_set(second.dataset, fresh);
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, CachedRows,
    ::testing::Values(RealRows{"smollm2", "data/brief_pairs_eval.jsonl", 70},
                      RealRows{"smollm2", "data/brief_labels_eval.jsonl", 70},
                      RealRows{"smollm2", "data/reader_pairs_eval.jsonl", 120},
                      RealRows{"encoded_rows/tiny/model", "encoded_rows/tiny/pairs.jsonl", 100},
                      RealRows{"encoded_rows/tiny_bos/model", "encoded_rows/tiny_bos/labels.jsonl", 100}),
    [](const auto& test) { return "set_" + std::to_string(test.index); });

}  // namespace
}  // namespace ddro::test
