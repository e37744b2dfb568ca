// Normal forms against Hugging Face's, and the scanners against the regular expressions that they stand for.
#include <gmock/gmock.h>

#include "ddro/base/utf8.h"
#include "parity/text/tokenizer_fixtures.h"
#include "text/normalizer.h"
#include "text/pre_tokenizer.h"
#include "text/regex.h"
#include "text/word_scanner.h"

namespace ddro::text {
namespace {

TEST(NormalForms, AreEqual) {
  const std::vector<Json> rows = read_lines(tokenizer_fixtures() / "normal_forms.jsonl");
  ASSERT_GT(rows.size(), 4000u);
  std::vector<Normalizer> normalizers;
  const Value configs = Value::parse(rows[0].dump());
  for (const Value& config : configs) normalizers.emplace_back(Component(config, "test"));
  ASSERT_GE(normalizers.size(), 11u);
  for (size_t i = 1; i < rows.size(); ++i) {
    const std::string text = rows[i][0];
    for (size_t form = 0; form < normalizers.size(); ++form) {
      AlignedText aligned(text, 0);
      normalizers[form].apply(aligned);
      ASSERT_EQ(Json(aligned.text()), rows[i][form + 1]) << rows[i][0] << " by " << configs[form];
    }
  }
}

// `rows`: texts with the pieces that Hugging Face's cuts them into.
void expect_pieces(const char* type, const std::vector<Json>& rows) {
  const Value config = {{"type", type}};
  const PreTokenizer pre_tokenizer(Component(config, "test"), false);
  for (const Json& row : rows) {
    const std::string text = row[0];
    Pieces pieces{AlignedText(text, 0), {{0, text.size()}}};
    pre_tokenizer.apply(pieces);
    std::vector<std::string> words;
    for (const Span& span : pieces.spans) words.push_back(text.substr(span.begin, span.end - span.begin));
    ASSERT_EQ(Json(words), row[1]) << row[0];
  }
}

TEST(BertPreTokenizer, CutsAtEveryMarkThatTheOtherCutsAt) {
  expect_pieces("BertPreTokenizer", read_lines(tokenizer_fixtures() / "words.jsonl"));
}

TEST(UnicodeScripts, AreThoseOfEveryCodePoint) {
  const std::vector<Json> rows = read_lines(tokenizer_fixtures() / "scripts.jsonl");
  ASSERT_GT(rows.size(), (0x110000u - 0x800) / 64);
  expect_pieces("UnicodeScripts", rows);
}

std::vector<Span> regex_words(const Pattern& pattern, std::string_view text) {
  std::vector<Span> words;
  for (const Match& match : pattern.find(text)) words.push_back(match.span);
  return words;
}

TEST(WordScanner, IsEqualToTheRegularExpression) {
  const std::string llama3 =
      R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
  std::string qwen2 = llama3;
  qwen2.replace(qwen2.find("{1,3}"), 5, "");
  // Every code point next to a letter, a digit, a space, an apostrophe and a line end.
  std::vector<std::string> texts;
  for (char32_t c = 0; c < 0x110000; ++c) {
    if (c >= 0xD800 && c < 0xE000) continue;
    if (c % 64 == 0) texts.emplace_back();
    std::string one;
    append_utf8(one, c);
    texts.back() += one + "a" + one + one + "1 " + one + "'" + one + "s\n" + one + " \t" + one;
  }
  for (const Json& line : read_lines(tokenizer_fixtures() / "corpus.jsonl")) texts.push_back(line);
  for (const std::string& regex : {std::string(kGpt2Pattern), llama3, qwen2}) {
    const auto known = known_pattern(regex);
    ASSERT_TRUE(known.has_value()) << regex;
    const Pattern pattern(regex, "test");
    for (const std::string& text : texts) {
      std::vector<Span> words;
      scan_words(*known, text, words);
      ASSERT_EQ(words, regex_words(pattern, text)) << regex << " on " << Json(text);
    }
  }
}

}  // namespace
}  // namespace ddro::text
