#include <gtest/gtest.h>

#include "ddro/base/random.h"
#include "ddro/data/encode.h"
#include "unit/data/fake_text.h"

namespace ddro::data {
namespace {

// Text of a few letters, so that merges and control tokens are frequent.
std::string random_text(std::uint64_t seed, std::uint64_t stream) {
  static const std::vector<std::string> kPieces = {"a",  "b",       "ab", "<|",      "end",
                                                   "|>", "<|end|>", " ",  "\xC3\xA9"};
  std::string text;
  const std::uint64_t length = 1 + random_bits(seed, stream, 0) % 12;
  for (std::uint64_t i = 1; i <= length; ++i) text += kPieces[random_bits(seed, stream, i) % kPieces.size()];
  return text;
}

FakeTokenizer merging_tokenizer() {
  FakeTokenizer tokenizer = turns_tokenizer();
  tokenizer.merges = {"ab", "ba", "aba", " a", "b ", "end", "\xC3\xA9"};
  return tokenizer;
}

TEST(EncodeLaws, StringsComeBackAndTheBoundaryCoversTheCompletion) {
  const FakeTokenizer tokenizer = merging_tokenizer();
  int merges = 0;
  for (std::uint64_t seed = 0; seed < 2000; ++seed) {
    const std::string prompt = random_text(seed, 1);
    const std::string completion = random_text(seed, 2);
    PreferenceRow row;
    row.kind = RowKind::kUnpaired;
    row.prompt = prompt;
    row.chosen = {completion, seed % 2 == 0};
    const EncodeResult result = encode_row(row, text_source(tokenizer), {});
    if (result.unusable) continue;
    const EncodedSequence& sequence = result.example.sequences[0];
    std::vector<text::TokenId> ids(sequence.ids.begin(), sequence.ids.end());
    if (row.chosen.finished) {
      ASSERT_EQ(ids.back(), kFirstControl);
      ids.pop_back();
    }
    for (const text::TokenId id : ids) ASSERT_LT(id, kFirstControl) << "text of a row became a control token";
    ASSERT_EQ(tokenizer.decode(ids), prompt + completion);
    const std::string before =
        tokenizer.decode(std::span(ids).first(static_cast<size_t>(sequence.completion_start)));
    ASSERT_TRUE(prompt.starts_with(before)) << "a completion token counts as prompt";
    ASSERT_EQ(result.boundary_merges, before != prompt ? 1 : 0);
    merges += result.boundary_merges;
  }
  EXPECT_GT(merges, 50) << "the texts do not test the boundary";
}

TEST(EncodeLaws, ContentNeverBecomesControlTokens) {
  const FakeTokenizer tokenizer = merging_tokenizer();
  int with_control_text = 0;
  for (std::uint64_t seed = 0; seed < 1000; ++seed) {
    const std::string prompt = random_text(seed, 3);
    const std::string completion = random_text(seed, 4);
    PreferenceRow row;
    row.kind = RowKind::kUnpaired;
    row.prompt = Json::array({{{"role", "user"}, {"content", prompt}}});
    row.chosen = {Json::array({{{"role", "assistant"}, {"content", completion}}}), true};
    const EncodeResult result = encode_row(row, text_source(tokenizer), {});
    ASSERT_FALSE(result.unusable);
    const TokenIds& ids = result.example.sequences[0].ids;
    const std::int64_t controls =
        std::count_if(ids.begin(), ids.end(), [&](text::TokenId id) { return tokenizer.is_control(id); });
    ASSERT_EQ(controls, 4) << prompt << " | " << completion;  // user, end, assistant, end
    ASSERT_EQ(tokenizer.decode(ids), "<|user|>" + prompt + "<|end|>\n<|assistant|>" + completion + "<|end|>");
    ASSERT_EQ(result.control_text, (prompt + "\n" + completion).find("<|end|>") != std::string::npos);
    with_control_text += result.control_text;
  }
  EXPECT_GT(with_control_text, 100);
}

}  // namespace
}  // namespace ddro::data
