// The tokenizer as a whole: added tokens, literal spans, offsets, decoding, threads.
#include "ddro/text/tokenizer.h"

#include <gmock/gmock.h>

#include <thread>

#include "ddro/base/error.h"
#include "unit/text/tokenizer_files.h"

namespace ddro::text {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using Ids = std::vector<TokenId>;

constexpr TokenId kSpaceId = 26, kAb = 28, kAbc = 29, kFirstFree = 30;
TokenId letter(char c) { return c - 'a'; }

TEST(JsonTokenizer, EncodesAndDecodes) {
  const auto tokenizer = load(small_tokenizer());
  const Encoding encoding = tokenizer->encode("abcab c");
  EXPECT_EQ(encoding.ids, (Ids{kAbc, kAb, kSpaceId, letter('c')}));
  EXPECT_THAT(encoding.offsets, ElementsAre(Span{0, 3}, Span{3, 5}, Span{5, 6}, Span{6, 7}));
  EXPECT_EQ(tokenizer->decode(encoding.ids), "abcab c");
  EXPECT_EQ(tokenizer->id_limit(), kFirstFree);
  EXPECT_EQ(tokenizer->id_of("abc"), kAbc);
  EXPECT_EQ(tokenizer->id_of("abcd"), -1);
  EXPECT_EQ(tokenizer->token_of(kAb), "ab");
  EXPECT_EQ(tokenizer->token_of(99), "");
  EXPECT_THAT(tokenizer->encode("").ids, IsEmpty());
  EXPECT_EQ(tokenizer->decode(Ids{-5, 99, kAb}), "ab");
}

TEST(JsonTokenizer, RefusesInvalidText) {
  const auto tokenizer = load(small_tokenizer());
  EXPECT_THROW(tokenizer->encode("a\xFF"), Error);
  EXPECT_THROW(tokenizer->find_control_text("\xC3"), Error);
}

TEST(AddedTokens, LongestWinsAndFlagsHold) {
  json config = small_tokenizer();
  config["added_tokens"] = {added_token("<a>", 30),
                            added_token("<a>b", 31),
                            added_token("<l>", 32, {{"lstrip", true}}),
                            added_token("<r>", 33, {{"rstrip", true}}),
                            added_token("abc", kAbc, {{"single_word", true}, {"special", false}}),
                            added_token("  ", 34, {{"special", false}})};
  const auto tokenizer = load(config);
  EXPECT_EQ(tokenizer->encode("<a>bc<a>").ids, (Ids{31, letter('c'), 30}));
  const Encoding stripped = tokenizer->encode("x <l>y<r> \tz");
  EXPECT_EQ(stripped.ids, (Ids{letter('x'), 32, letter('y'), 33, letter('z')}));
  EXPECT_THAT(stripped.offsets, ElementsAre(Span{0, 1}, Span{1, 5}, Span{5, 6}, Span{6, 11}, Span{11, 12}));
  // Not a single word: the model makes the same token of it.
  EXPECT_EQ(tokenizer->encode("abcx").ids, (Ids{kAbc, letter('x')}));
  EXPECT_TRUE(tokenizer->is_control(30));
  EXPECT_FALSE(tokenizer->is_control(kAbc));  // not special
  EXPECT_FALSE(tokenizer->is_control(34));
  EXPECT_FALSE(tokenizer->is_control(letter('a')));
  EXPECT_FALSE(tokenizer->is_control(-1));
  EXPECT_EQ(tokenizer->decode(Ids{30, letter('x'), 34}, true), "x  ");
  EXPECT_EQ(tokenizer->decode(Ids{30, letter('x')}), "<a>x");
}

// As Hugging Face's tokenizers do it, whatever ids the file gives.
TEST(AddedTokens, GetTheNextIds) {
  json config = small_tokenizer();
  config["added_tokens"] = {added_token("<a>", 50), added_token("d", 50), added_token("<b>", 3)};
  testing::internal::CaptureStderr();
  const auto tokenizer = load(config);
  const std::string warnings = testing::internal::GetCapturedStderr();
  EXPECT_EQ(tokenizer->encode("<a>d<b>").ids, (Ids{30, letter('d'), 31}));
  EXPECT_THAT(warnings, testing::HasSubstr("\"<a>\" has id 50 there; it gets 30"));
  EXPECT_THAT(warnings, testing::HasSubstr("\"d\" has id 50 there; it gets 3"));
  EXPECT_EQ(tokenizer->id_limit(), 32);
}

TEST(LiteralSpans, LeaveOtherAddedTokensTokens) {
  json config = small_tokenizer();
  config["added_tokens"] = {added_token("<a>", 30), added_token("<think>", 31, {{"special", false}})};
  const auto tokenizer = load(config);
  const std::string text = "<a><think>a";
  const std::vector<Span> whole = {{0, text.size()}};
  EXPECT_EQ(tokenizer->encode(text, whole).ids, (Ids{letter('a'), 31, letter('a')}));
  EXPECT_THAT(tokenizer->find_control_text(text), ElementsAre(Span{0, 3}));
}

TEST(LiteralSpans, HoldBackControlTokens) {
  json config = small_tokenizer();
  for (const char* c : {"<", ">"}) config["model"]["vocab"][c] = 40 + (c[0] == '>');
  config["added_tokens"] = {added_token("<a>", 32), added_token("<a>b", 33),
                            added_token("  ", 34, {{"special", false}})};
  const auto tokenizer = load(config);
  const std::string text = "<a><a>  <a>b";
  const auto encode = [&](std::vector<Span> literal) { return tokenizer->encode(text, literal).ids; };
  EXPECT_EQ(encode({}), (Ids{32, 32, 34, 33}));
  EXPECT_EQ(encode({{3, 8}}), (Ids{32, 40, letter('a'), 41, 34, 33}));
  EXPECT_EQ(encode({{4, 5}}), (Ids{32, 40, letter('a'), 41, 34, 33}));  // one byte is enough
  EXPECT_EQ(encode({{11, 12}}), (Ids{32, 32, 34, 32, letter('b')}));    // the shorter one remains
  EXPECT_EQ(encode({{3, 3}}), (Ids{32, 32, 34, 33}));                   // an empty span holds nothing back
  EXPECT_THAT(tokenizer->find_control_text(text), ElementsAre(Span{0, 3}, Span{3, 6}, Span{8, 12}));
  EXPECT_THAT(tokenizer->find_control_text("a  b"), IsEmpty());
}

TEST(LiteralSpans, MergingMakesNoControlToken) {
  json config = small_tokenizer();
  config["added_tokens"] = {added_token("abc", kAbc)};
  const std::vector<Span> literal = {{0, 4}};
  EXPECT_EQ(load(config)->encode("xabc", literal).ids, (Ids{letter('x'), kAb, letter('c')}));
  EXPECT_EQ(load(config)->encode("xabc").ids, (Ids{letter('x'), kAbc}));
  config["model"]["ignore_merges"] = true;
  const std::vector<Span> whole = {{0, 3}};
  EXPECT_EQ(load(config)->encode("abc", whole).ids, (Ids{kAb, letter('c')}));
}

TEST(KnownParts, GetTheTokensOfNewOnes) {
  json tokenizer_json = small_tokenizer();
  tokenizer_json["added_tokens"] = {added_token("<x>", kFirstFree)};
  const auto tokenizer = load(tokenizer_json);
  const std::string text = "abc<x>abc ab<x>c<x>abc ab";
  const Encoding first = tokenizer->encode(text);
  EXPECT_EQ(first.ids, (Ids{kAbc, kFirstFree, kAbc, kSpaceId, kAb, kFirstFree, letter('c'), kFirstFree, kAbc,
                            kSpaceId, kAb}));
  EXPECT_THAT(first.offsets,
              ElementsAre(Span{0, 3}, Span{3, 6}, Span{6, 9}, Span{9, 10}, Span{10, 12}, Span{12, 15},
                          Span{15, 16}, Span{16, 19}, Span{19, 22}, Span{22, 23}, Span{23, 25}));
  const Encoding again = tokenizer->encode(text);
  EXPECT_EQ(again.ids, first.ids);
  EXPECT_EQ(again.offsets, first.offsets);
}

TEST(KnownParts, DoNotHideWhereTheTextBegins) {
  json tokenizer_json = small_tokenizer();
  tokenizer_json["added_tokens"] = {added_token("<x>", kFirstFree)};
  tokenizer_json["pre_tokenizer"] = {
      {"type", "Metaspace"}, {"replacement", "."}, {"prepend_scheme", "first"}, {"split", false}};
  const auto tokenizer = load(tokenizer_json);
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(tokenizer->encode("<x>abc").ids, (Ids{kFirstFree, kAbc}));
    EXPECT_EQ(tokenizer->encode("abc").ids, (Ids{27, kAbc}));
  }
}

TEST(KnownParts, DoNotHideLiteralSpans) {
  json tokenizer_json = small_tokenizer();
  tokenizer_json["added_tokens"] = {added_token("<x>", kFirstFree),
                                    added_token("abc", kAbc, {{"single_word", true}})};
  const auto tokenizer = load(tokenizer_json);
  const std::vector<Span> literal = {{3, 7}};
  EXPECT_EQ(tokenizer->encode("<x>abcd").ids, (Ids{kFirstFree, kAbc, letter('d')}));
  EXPECT_EQ(tokenizer->encode("<x>abcd", literal).ids, (Ids{kFirstFree, kAb, letter('c'), letter('d')}));
  EXPECT_EQ(tokenizer->encode("<x>abcd").ids, (Ids{kFirstFree, kAbc, letter('d')}));
}

TEST(LiteralSpans, ReachNormalizedText) {
  json config = small_tokenizer();
  config["normalizer"] = {{"type", "Lowercase"}};
  config["added_tokens"] = {added_token("XY", 30, {{"normalized", true}})};
  const auto tokenizer = load(config);
  EXPECT_EQ(tokenizer->encode("axyAXY").ids, (Ids{letter('a'), 30, letter('a'), 30}));
  const std::vector<Span> literal = {{5, 6}};
  EXPECT_EQ(tokenizer->encode("axyAXY", literal).ids,
            (Ids{letter('a'), 30, letter('a'), letter('x'), letter('y')}));
  EXPECT_THAT(tokenizer->find_control_text("axyAXY"), ElementsAre(Span{1, 3}, Span{4, 6}));
}

TEST(Offsets, NameTheBytesOfTheInput) {
  json config = small_tokenizer();
  config["normalizer"] = {
      {"type", "Sequence"},
      {"normalizers",
       {{{"type", "NFD"}},
        {{"type", "Replace"}, {"pattern", {{"Regex", "[\\x{300}-\\x{36F}]"}}}, {"content", ""}},
        {{"type", "Strip"}, {"strip_left", true}, {"strip_right", true}},
        {{"type", "Prepend"}, {"prepend", "q"}}}}};
  const Encoding encoding = load(config)->encode(" \u00E1b\u00E7 ");
  EXPECT_EQ(encoding.ids, (Ids{letter('q'), kAbc}));
  EXPECT_THAT(encoding.offsets, ElementsAre(Span{1, 3}, Span{1, 6}));
}

TEST(Offsets, PartsOfACharacterCarryIt) {
  json config = small_tokenizer();
  config["pre_tokenizer"] = {
      {"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", false}};
  config["model"]["vocab"]["Ã"] = 40;  // byte C3
  config["model"]["vocab"]["©"] = 41;  // byte A9
  const Encoding encoding = load(config)->encode("a\u00E9");
  EXPECT_EQ(encoding.ids, (Ids{letter('a'), 40, 41}));
  EXPECT_THAT(encoding.offsets, ElementsAre(Span{0, 1}, Span{1, 3}, Span{1, 3}));
}

TEST(UnknownCharacters, FollowTheModel) {
  json config = small_tokenizer();
  EXPECT_EQ(load(config)->encode("a!!b").ids, (Ids{kAb}));  // as if they were not there
  config["model"]["unk_token"] = ".";
  EXPECT_EQ(load(config)->encode("a!!b").ids, (Ids{letter('a'), 27, 27, letter('b')}));
  config["model"]["fuse_unk"] = true;
  EXPECT_EQ(load(config)->encode("a!!b").ids, (Ids{letter('a'), 27, letter('b')}));
  config["model"]["byte_fallback"] = true;
  config["model"]["vocab"]["<0x21>"] = 50;
  EXPECT_EQ(load(config)->encode("a!!\u00E9").ids, (Ids{letter('a'), 50, 50, 27}));
  config["model"]["unk_token"] = "absent";
  const auto tokenizer = load(config);
  EXPECT_EQ(tokenizer->encode("ab").ids, (Ids{kAb}));
  EXPECT_THROW(tokenizer->encode("\u00E9"), Error);
}

TEST(PostProcessor, GivesPrefixAndSuffix) {
  json config = small_tokenizer();
  const json bos = {{"SpecialToken", {{"id", "a"}, {"type_id", 0}}}};
  const json text = {{"Sequence", {{"id", "A"}, {"type_id", 0}}}};
  const json tokens = {{"a", {{"id", "a"}, {"ids", {0, 1}}, {"tokens", {"a", "b"}}}}};
  config["post_processor"] = {{"type", "TemplateProcessing"},
                              {"single", {bos, text, bos}},
                              {"pair", json::array()},
                              {"special_tokens", tokens}};
  const auto tokenizer = load(config);
  EXPECT_EQ(tokenizer->prefix_ids(), (Ids{0, 1}));
  EXPECT_EQ(tokenizer->suffix_ids(), (Ids{0, 1}));
  const json roberta = {{"type", "RobertaProcessing"},
                        {"cls", {"c", 2}},
                        {"sep", {"d", 3}},
                        {"trim_offsets", true},
                        {"add_prefix_space", false}};
  config["post_processor"] = {{"type", "Sequence"}, {"processors", {roberta, config["post_processor"]}}};
  const auto both = load(config);
  EXPECT_EQ(both->prefix_ids(), (Ids{0, 1, 2}));
  EXPECT_EQ(both->suffix_ids(), (Ids{3, 0, 1}));
}

TEST(Threads, ShareATokenizer) {
  const auto tokenizer = load(small_tokenizer());
  std::string text;
  for (int i = 0; i < 2000; ++i) text += std::string("abcab cxyz").substr(static_cast<size_t>(i % 7)) + " ";
  const Ids expected = tokenizer->encode(text).ids;
  std::vector<Ids> results(4);
  std::vector<std::thread> threads;
  for (Ids& result : results) threads.emplace_back([&] { result = tokenizer->encode(text).ids; });
  for (std::thread& thread : threads) thread.join();
  for (const Ids& result : results) EXPECT_EQ(result, expected);
}

}  // namespace
}  // namespace ddro::text
