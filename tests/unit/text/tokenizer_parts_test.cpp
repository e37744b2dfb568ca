// Splitting, alignment and small text functions.
#include <gmock/gmock.h>

#include "ddro/base/error.h"
#include "support/temporary_folder.h"
#include "text/aligned_text.h"
#include "text/byte_alphabet.h"
#include "text/character_class.h"
#include "text/convert_sentencepiece.h"
#include "text/decoder.h"
#include "text/pre_tokenizer.h"
#include "text/regex.h"
#include "text/sentencepiece_model.h"
#include "text/unigram_model.h"
#include "unit/text/tokenizer_files.h"

namespace ddro::text {
namespace {

using testing::ElementsAre;

std::vector<std::string> pieces_of(const json& pre_tokenizer, const std::string& text) {
  Pieces pieces{AlignedText(text, 0), {{0, text.size()}}};
  PreTokenizer(Component(pre_tokenizer, "test"), true).apply(pieces);
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
}

// Pieces "?" of type UNKNOWN, "u" of type USER_DEFINED and score 1, "n", and "c" of type CONTROL; a
// trainer_spec of model type BPE and unknown piece "?".
const std::string kSmallModel(
    "\x0A\x05\x0A\x01?\x18\x02\x0A\x0A\x0A\x01u\x15\x00\x00\x80\x3F\x18\x04\x0A\x03\x0A\x01n\x0A\x05\x0A\x01"
    "c\x18\x03\x12\x06\x18\x02\xEA\x02\x01?",
    39);

TEST(SentencePieceModel, HasPiecesWithTypesAndScores) {
  const TemporaryFolder folder;
  folder.write("tokenizer.model", kSmallModel);
  const SentencePieceModel model = read_sentencepiece_model(folder.path());
  using Type = SentencePieceModel::Type;
  ASSERT_EQ(model.pieces.size(), 4U);
  EXPECT_EQ(model.pieces[0].type, Type::kUnknown);
  EXPECT_EQ(model.pieces[1].text, "u");
  EXPECT_EQ(model.pieces[1].score, 1);
  EXPECT_EQ(model.pieces[1].type, Type::kUserDefined);
  EXPECT_EQ(model.pieces[2].type, Type::kNormal);
  EXPECT_EQ(model.pieces[3].type, Type::kControl);
  EXPECT_TRUE(model.is_bpe);
  EXPECT_EQ(model.unknown, "?");
}

TEST(SentencePieceModel, CutOffFilesAreRefused) {
  for (size_t size = 0; size < kSmallModel.size(); ++size) {
    if (size == 7 || size == 19 || size == 24 || size == 31) continue;  // whole messages: a smaller model
    const TemporaryFolder folder;
    folder.write("tokenizer.model", kSmallModel.substr(0, size));
    EXPECT_THROW(read_sentencepiece_model(folder.path()), Error) << size;
  }
}

// Scores -1, -2, ... from the first ordinary piece on.
SentencePieceModel model_of(const std::vector<std::string>& texts, bool is_bpe) {
  SentencePieceModel model;
  model.is_bpe = is_bpe;
  for (const std::string& text : texts)
    model.pieces.push_back(
        {text, -static_cast<float>(model.pieces.size()), SentencePieceModel::Type::kNormal});
  model.pieces[1].type = model.pieces[2].type = SentencePieceModel::Type::kControl;
  return model;
}

TEST(ConvertSentencePiece, MergesFollowScoresThenLengths) {
  const TemporaryFolder folder;
  const Value json =
      convert_sentencepiece(model_of({"<unk>", "<s>", "</s>", "abab", "ab", "aba", "a", "b", "ba"}, true),
                            read_tokenizer_config(folder.path()));
  EXPECT_EQ(json["model"]["merges"].dump(),
            R"([["aba","b"],["ab","ab"],["a","b"],["ab","a"],["a","ba"],["b","a"]])");
  EXPECT_EQ(json["added_tokens"].size(), 2U);
  EXPECT_EQ(json["added_tokens"][0]["content"], "<s>");
  EXPECT_TRUE(json["added_tokens"][0]["special"].get<bool>());
}

TEST(ConvertSentencePiece, RefusesOtherClasses) {
  const TemporaryFolder folder;
  folder.write("tokenizer_config.json", R"({"tokenizer_class": "T5Tokenizer"})");
  EXPECT_THROW(
      convert_sentencepiece(model_of({"<unk>", "<s>", "</s>"}, true), read_tokenizer_config(folder.path())),
      Error);
}

std::vector<TokenId> unigram_ids(const Value& model, const std::string& word, bool literal = false) {
  UnigramModel unigram(Component(model, "test"));
  unigram.set_control_ids({1});
  const auto workspace = unigram.make_workspace();
  std::vector<WordToken> tokens;
  unigram.encode(word, literal, *workspace, tokens);
  std::vector<TokenId> ids;
  size_t end = 0;
  for (const WordToken& token : tokens) {
    EXPECT_GE(token.begin + token.end, end);
    end = token.end;
    ids.push_back(token.id);
  }
  EXPECT_EQ(end, word.size());
  return ids;
}

TEST(UnigramModel, TakesTheMostProbableWay) {
  const Value model = Value::parse(R"({"type": "Unigram", "unk_id": 0, "vocab": [
      ["<unk>", 0], ["abc", -1], ["a", -2], ["b", -2], ["c", -2], ["ab", -3], ["bc", -1.5]]})");
  EXPECT_THAT(unigram_ids(model, "abc"), ElementsAre(1));
  EXPECT_THAT(unigram_ids(model, "abc", true), ElementsAre(2, 6));  // 1 is a control token
  EXPECT_THAT(unigram_ids(model, "ab"), ElementsAre(5));
  EXPECT_THAT(unigram_ids(model, "aab"), ElementsAre(2, 5));
}

TEST(UnigramModel, FusesWhatItDoesNotKnow) {
  Value model = Value::parse(R"({"type": "Unigram", "unk_id": 0, "vocab": [
      ["<unk>", 0], ["<0x21>", -1], ["a", -2], ["?!", -30]]})");
  EXPECT_THAT(unigram_ids(model, "a!!a"), ElementsAre(2, 0, 2));
  EXPECT_THAT(unigram_ids(model, "?!"), ElementsAre(3));
  model["byte_fallback"] = true;
  EXPECT_THAT(unigram_ids(model, "a!!a"), ElementsAre(2, 1, 1, 2));
  EXPECT_THAT(unigram_ids(model, "a!?a"), ElementsAre(2, 0, 2));
}

TEST(UnigramModel, RefusesBrokenOnes) {
  for (const char* text :
       {R"({"vocab": []})", R"({"vocab": "x"})", R"({"vocab": [["a"]]})", R"({"vocab": [["a", "b"]]})",
        R"({"vocab": [["a", 0], ["b", 0]], "unk_id": 5})", R"({"vocab": [["a", 0]], "more": 1})"}) {
    const Value model = Value::parse(text);
    EXPECT_THROW(UnigramModel(Component(model, "test")), Error) << text;
  }
}

}  // namespace
}  // namespace ddro::text
