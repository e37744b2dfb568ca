// Normal forms against Hugging Face's, and the scanners against the regular expressions that they stand for.
#include <gmock/gmock.h>

#include "ddro/base/utf8.h"
#include "parity/text/tokenizer_fixtures.h"
#include "text/regex.h"
#include "text/unicode_normal_form.h"
#include "text/word_scanner.h"

namespace ddro::text {
namespace {

TEST(NormalForms, AreEqual) {
  const NormalForm forms[] = {NormalForm::kNfc, NormalForm::kNfd, NormalForm::kNfkc, NormalForm::kNfkd};
  const std::vector<Json> rows = read_lines(tokenizer_fixtures() / "normal_forms.jsonl");
  ASSERT_GT(rows.size(), 4000u);
  for (const Json& row : rows) {
    const std::string text = row[0];
    for (size_t i = 0; i < 5; ++i) {
      AlignedText aligned(text, 0);
      i < 4 ? normalize(forms[i], aligned) : lower_case(aligned);
      ASSERT_EQ(aligned.text(), row[i + 1].get<std::string>()) << row[0] << " form " << i;
    }
  }
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
