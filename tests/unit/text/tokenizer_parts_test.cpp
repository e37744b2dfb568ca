// Splitting, alignment and small text functions.
#include <gmock/gmock.h>

#include "ddro/base/error.h"
#include "text/aligned_text.h"
#include "text/byte_alphabet.h"
#include "text/character_class.h"
#include "text/decoder.h"
#include "text/pre_tokenizer.h"
#include "text/regex.h"
#include "text/sentencepiece_files.h"
#include "unit/text/tokenizer_files.h"

namespace ddro::text {
namespace {

using testing::ElementsAre;

std::vector<std::string> pieces_of(const json& pre_tokenizer, const std::string& text) {
  Pieces pieces{AlignedText(text, 0), {{0, text.size()}}};
  PreTokenizer(Component(pre_tokenizer, "test")).apply(pieces);
  std::vector<std::string> result;
  for (const Span& span : pieces.spans)
    result.emplace_back(pieces.text.text().substr(span.begin, span.end - span.begin));
  return result;
}

json split(const std::string& behavior, bool invert = false) {
  return {{"type", "Split"}, {"pattern", {{"String", "-"}}}, {"behavior", behavior}, {"invert", invert}};
}

TEST(Split, KnowsEveryBehavior) {
  const std::string text = "the-final--countdown";
  EXPECT_THAT(pieces_of(split("Removed"), text), ElementsAre("the", "final", "countdown"));
  EXPECT_THAT(pieces_of(split("Isolated"), text), ElementsAre("the", "-", "final", "-", "-", "countdown"));
  EXPECT_THAT(pieces_of(split("MergedWithPrevious"), text), ElementsAre("the-", "final-", "-", "countdown"));
  EXPECT_THAT(pieces_of(split("MergedWithNext"), text), ElementsAre("the", "-final", "-", "-countdown"));
  EXPECT_THAT(pieces_of(split("Contiguous"), text), ElementsAre("the", "-", "final", "--", "countdown"));
  EXPECT_THAT(pieces_of(split("Removed", true), text), ElementsAre("-", "-", "-"));
}

TEST(Metaspace, PrependsAsItsSchemeSays) {
  json metaspace = {
      {"type", "Metaspace"}, {"replacement", "_"}, {"prepend_scheme", "always"}, {"split", true}};
  EXPECT_THAT(pieces_of(metaspace, "a b"), ElementsAre("_a", "_b"));
  metaspace["prepend_scheme"] = "never";
  EXPECT_THAT(pieces_of(metaspace, "a b"), ElementsAre("a", "_b"));
  metaspace["prepend_scheme"] = "first";
  metaspace["split"] = false;
  EXPECT_THAT(pieces_of(metaspace, "a b"), ElementsAre("_a_b"));
  EXPECT_THAT(pieces_of(metaspace, " a"), ElementsAre("_a"));
}

TEST(Whitespace, SeparatesWordsAndOthers) {
  EXPECT_THAT(pieces_of({{"type", "Whitespace"}}, "a_1, \u00E9! "), ElementsAre("a_1", ",", "\u00E9", "!"));
  EXPECT_THAT(pieces_of({{"type", "WhitespaceSplit"}}, " a,\u3000b"), ElementsAre("a,", "b"));
}

TEST(Pattern, GivesUpInsteadOfHanging) {
  const Pattern pattern("^(a|aa)*$", "test");
  EXPECT_THROW(pattern.find(std::string(64, 'a') + "bc"), Error);
}

TEST(Pattern, ReportsEmptyMatchesOnce) {
  const Pattern pattern("x*", "test");
  std::vector<Span> matched;
  for (const Match& match : pattern.find("axb")) {
    if (match.matched) matched.push_back(match.span);
  }
  EXPECT_THAT(matched, ElementsAre(Span{0, 0}, Span{1, 2}, Span{3, 3}));
}

TEST(AlignedText, FollowsRewriting) {
  AlignedText text("a\u00E9b", 10);
  EXPECT_EQ(text.origin({2, 3}), (Span{11, 13}));
  Rewriter rewriter(text);
  rewriter.insert("<");
  rewriter.keep(1);
  rewriter.replace(2, "xyz");
  rewriter.skip(1);
  rewriter.insert(">");
  text = rewriter.finish();
  EXPECT_EQ(text.text(), "<axyz>");
  EXPECT_EQ(text.origin({0, 1}), (Span{10, 10}));
  EXPECT_EQ(text.origin({0, 5}), (Span{10, 13}));
  EXPECT_EQ(text.origin({5, 6}), (Span{13, 14}));
  EXPECT_EQ(text.slice({3, 5}).origin({0, 1}), (Span{11, 13}));
}

TEST(ValidUtf8, ReplacesEachMistakeOnce) {
  const std::string bad = "\uFFFD";
  EXPECT_EQ(valid_utf8("a\u00E9"), "a\u00E9");
  EXPECT_EQ(valid_utf8("\xF0\x9F\x98"), bad);
  EXPECT_EQ(valid_utf8("\xF0\x9F\x98x\x80"), bad + "x" + bad);
  EXPECT_EQ(valid_utf8("\xC0\x80"), bad + bad);
  EXPECT_EQ(valid_utf8("\xE0\x80\x80"), bad + bad + bad);
  EXPECT_EQ(valid_utf8("\xED\xA0\x80"), bad + bad + bad);
  EXPECT_EQ(valid_utf8("\xE2\x82\xE2\x82\xAC"), bad + "\u20AC");
}

TEST(ByteAlphabet, IsABijection) {
  std::string all;
  for (int byte = 0; byte < 256; ++byte) all += byte_character(static_cast<unsigned char>(byte));
  const auto bytes = bytes_behind(all);
  ASSERT_TRUE(bytes.has_value());
  for (size_t i = 0; i < 256; ++i) EXPECT_EQ(static_cast<unsigned char>((*bytes)[i]), i);
  EXPECT_FALSE(bytes_behind("a b").has_value());
  EXPECT_EQ(byte_character(' '), "\u0120");
  EXPECT_EQ(byte_fallback_value("<0x0a>"), 10);
  EXPECT_EQ(byte_fallback_value("<0x0G>"), -1);
  EXPECT_EQ(byte_fallback_token(255), "<0xFF>");
}

TEST(Decoder, FollowsItsParts) {
  const json sequence = {{"type", "Sequence"},
                         {"decoders",
                          {{{"type", "Replace"}, {"pattern", {{"String", "_"}}}, {"content", " "}},
                           {{"type", "ByteFallback"}},
                           {{"type", "Fuse"}},
                           {{"type", "Strip"}, {"content", " "}, {"start", 1u}, {"stop", 0u}}}}};
  const Decoder decoder(Component(sequence, "test"));
  EXPECT_EQ(decoder.decode({"__a", "<0xC3>", "<0xA9>", "<0xFF>", "_b"}), " a\uFFFD\uFFFD\uFFFD b");
  EXPECT_EQ(decoder.decode({"a", "<0xC3>", "<0xA9>"}), "a\u00E9");
  EXPECT_EQ(decoder.decode({}), "");
  EXPECT_EQ(Decoder().decode({"a", "b"}), "a b");
}

TEST(NewCharacters, HaveTheirClasses) {
  EXPECT_EQ(character_flags(0x31350), kLetter | kWord);    // Unicode 15
  EXPECT_EQ(character_flags(0x10D40) & kNumber, kNumber);  // Unicode 16
  EXPECT_TRUE(is_blank(" \u3000\n"));
  EXPECT_FALSE(is_blank("\u200B"));
}

TEST(SentencePieceModel, ControlPiecesAreHidden) {
  // pieces: "u" of type USER_DEFINED, "n" of type NORMAL
  const std::string model("\x0A\x05\x0A\x01u\x18\x04\x0A\x05\x0A\x01n\x18\x01", 14);
  const auto all = [](const std::string&) { return true; };
  EXPECT_EQ(adapt_sentencepiece_model(model, false, all, "test"),
            std::string("\x0A\x07\x0A\x01u\x18\x04\x18\x03\x0A\x05\x0A\x01n\x18\x01", 16));
  EXPECT_EQ(adapt_sentencepiece_model(
                model, true, [](const std::string&) { return false; }, "test"),
            model + std::string("\x1A\x02\x18\x00", 4));
  for (size_t size = 1; size < 7; ++size) {
    EXPECT_THROW(adapt_sentencepiece_model(model.substr(0, size), false, all, "test"), Error) << size;
  }
}

}  // namespace
}  // namespace ddro::text
