// Broken and hostile files are refused with one line that names the place; hostile text takes linear time and
// memory.
#include <gmock/gmock.h>

#include "ddro/base/error.h"
#include "ddro/base/random.h"
#include "support/temporary_folder.h"
#include "unit/text/tokenizer_files.h"

namespace ddro::text {
namespace {

using testing::HasSubstr;

std::string refusal(const std::string& text) {
  try {
    load_text(text);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kModel);
    EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos);
    EXPECT_THAT(error.what(), HasSubstr("tokenizer.json"));
    return error.what();
  }
  return "accepted";
}

// The message for the small tokenizer with `value` at `pointer`.
std::string refusal(const std::string& pointer, const json& value) {
  json config = small_tokenizer();
  config[json::json_pointer(pointer)] = value;
  return refusal(config.dump());
}

TEST(HostileFile, NotJson) {
  EXPECT_THAT(refusal(""), HasSubstr("not valid JSON"));
  EXPECT_THAT(refusal("{\"a\": \xFF}"), HasSubstr("not valid UTF-8"));
  EXPECT_THAT(refusal("[]"), HasSubstr("expected an object"));
  EXPECT_THAT(refusal("{\"a\": 1, \"a\": 2}"), HasSubstr("occurs twice"));
  EXPECT_THAT(refusal(std::string(100000, '[')), HasSubstr("nested deeper"));
  std::string deep;
  for (int i = 0; i < 100000; ++i) deep += "{\"a\":";
  EXPECT_THAT(refusal(deep), HasSubstr("nested deeper"));
  EXPECT_THAT(refusal("{\"version\": 1e999}"), HasSubstr("too large"));
}

TEST(HostileFile, Vocabulary) {
  EXPECT_THAT(refusal("/model/vocab/x", 1), HasSubstr("same id"));
  EXPECT_THAT(refusal("/model/vocab/x", -1), HasSubstr("token id"));
  EXPECT_THAT(refusal("/model/vocab/x", 1.5), HasSubstr("token id"));
  EXPECT_THAT(refusal("/model/vocab/x", "1"), HasSubstr("token id"));
  EXPECT_THAT(refusal("/model/vocab/x", std::uint64_t{1} << 63), HasSubstr("token id"));
  EXPECT_THAT(refusal("/model/vocab/x", 1 << 24), HasSubstr("token id"));
  EXPECT_THAT(refusal("/model/vocab", json::array()), HasSubstr("expected an object"));
  EXPECT_THAT(refusal("/model/vocab", json::object()), HasSubstr("not in the vocabulary"));
  EXPECT_EQ(refusal("/model/vocab/hole", 1000), "accepted");
}

TEST(HostileFile, Merges) {
  EXPECT_THAT(refusal("/model/merges", json::array({"a q"})),
              HasSubstr("\"aq\", which is not in the vocabulary"));
  EXPECT_THAT(refusal("/model/merges", {"a"}), HasSubstr("expected two tokens"));
  EXPECT_THAT(refusal("/model/merges", {"a b c"}), HasSubstr("expected two tokens"));
  EXPECT_THAT(refusal("/model/merges", {1}), HasSubstr("expected \"a b\""));
  EXPECT_THAT(refusal("/model/merges", {{"a", "b", "c"}}), HasSubstr("expected \"a b\""));
  EXPECT_THAT(refusal("/model/merges", json::array({json::array({"a", ""})})),
              HasSubstr("not in the vocabulary"));
  EXPECT_THAT(refusal("/model/merges", "a b"), HasSubstr("expected a list"));
}

TEST(HostileFile, UnknownComponents) {
  for (const char* part : {"normalizer", "pre_tokenizer", "post_processor", "decoder"}) {
    EXPECT_THAT(refusal(std::string("/") + part, {{"type", "Nonsense"}}), HasSubstr("\"Nonsense\"")) << part;
    EXPECT_THAT(refusal(std::string("/") + part, 3), HasSubstr("expected an object")) << part;
    EXPECT_THAT(refusal(std::string("/") + part, json::object()), HasSubstr("\"type\" is missing")) << part;
  }
  EXPECT_THAT(refusal("/model/type", "Morphemes"), HasSubstr("Morphemes"));
  EXPECT_THAT(refusal("/model/dropout", 0.1), HasSubstr("dropout"));
  EXPECT_THAT(refusal("/model/continuing_subword_prefix", "##"),
              HasSubstr("a token that begins with \"##\""));
  EXPECT_THAT(refusal("/model/news", true), HasSubstr("unknown field \"news\""));
  EXPECT_THAT(refusal("/news", true), HasSubstr("unknown field \"news\""));
  EXPECT_THAT(refusal("/version", "2.0"), HasSubstr("version"));
  EXPECT_THAT(refusal("/normalizer", {{"type", "NFC"}, {"extra", 1}}), HasSubstr("unknown field \"extra\""));
  EXPECT_THAT(refusal("/pre_tokenizer", {{"type", "UnicodeScripts"}, {"extra", 1}}),
              HasSubstr("unknown field \"extra\""));
}

TEST(HostileFile, BrokenComponents) {
  const auto split = [](const json& pattern, const std::string& behavior) {
    return json{{"type", "Split"}, {"pattern", pattern}, {"behavior", behavior}, {"invert", false}};
  };
  EXPECT_THAT(refusal("/pre_tokenizer", split({{"Regex", "(a"}}, "Isolated")),
              HasSubstr("bad regular expression"));
  EXPECT_THAT(refusal("/pre_tokenizer", split({{"Regex", std::string(200000, '(')}}, "Isolated")),
              HasSubstr("bad regular expression"));
  EXPECT_THAT(refusal("/pre_tokenizer", split({{"String", ""}}, "Isolated")), HasSubstr("empty"));
  EXPECT_THAT(refusal("/pre_tokenizer", split({{"Glob", "a"}}, "Isolated")), HasSubstr("Glob"));
  EXPECT_THAT(refusal("/pre_tokenizer", split({{"String", "a"}}, "Shuffled")), HasSubstr("Shuffled"));
  EXPECT_THAT(refusal("/pre_tokenizer", {{"type", "Metaspace"}, {"replacement", "ab"}}),
              HasSubstr("one character"));
  EXPECT_THAT(
      refusal("/pre_tokenizer", {{"type", "Metaspace"}, {"replacement", "_"}, {"prepend_scheme", "last"}}),
      HasSubstr("last"));
  EXPECT_THAT(
      refusal("/pre_tokenizer", {{"type", "Metaspace"}, {"replacement", "_"}, {"add_prefix_space", false}}),
      HasSubstr("add_prefix_space"));
  EXPECT_THAT(refusal("/pre_tokenizer", {{"type", "FixedLength"}, {"length", 0}}), HasSubstr("at least 1"));
  EXPECT_THAT(refusal("/pre_tokenizer", {{"type", "CharDelimiterSplit"}, {"delimiter", ""}}),
              HasSubstr("one character"));
  EXPECT_THAT(refusal("/decoder", {{"type", "Strip"}, {"content", " "}, {"start", -1}, {"stop", 0}}),
              HasSubstr("start"));
  EXPECT_THAT(refusal("/decoder", {{"type", "BPEDecoder"}, {"suffix", ""}}), HasSubstr("suffix"));
  EXPECT_THAT(
      refusal("/post_processor", {{"type", "RobertaProcessing"}, {"cls", {"c", 99}}, {"sep", {"d", 3}}}),
      HasSubstr("which has no token"));
  EXPECT_THAT(refusal("/post_processor", {{"type", "TemplateProcessing"},
                                          {"single", json::array()},
                                          {"special_tokens", json::object()}}),
              HasSubstr("must name it once"));
}

// Base64 of: the trie's size in bytes, its units, the texts.
TEST(HostileFile, BrokenCharsmaps) {
  const auto charsmap = [](const std::string& base64) {
    return json{{"type", "Precompiled"}, {"precompiled_charsmap", base64}};
  };
  EXPECT_THAT(refusal("/normalizer", charsmap("nonsense!")), HasSubstr("not base64"));
  for (const char* cut : {"", "AAAA", "AAAAAA==", "BAAAAA==", "AQAAAAAAAAA=", "////fwAAAAA="})
    EXPECT_THAT(refusal("/normalizer", charsmap(cut)), HasSubstr("no trie of the size")) << cut;
  for (const char* cut : {"BAAAAAAAAAA=", "BAAAAAAAAABh", "BAAAAAAAAAD/AA=="})
    EXPECT_THAT(refusal("/normalizer", charsmap(cut)), HasSubstr("its texts are cut, or not UTF-8")) << cut;
  json outside = small_tokenizer();  // one unit, whose offset leaves the trie
  outside["normalizer"] = charsmap("BAAAAAAEAAAA");
  EXPECT_THROW(load(outside)->encode("ab"), Error);
}

TEST(HostileFile, WordsWithoutAnUnknownToken) {
  const json pieces = {{"type", "WordPiece"},
                       {"unk_token", "[UNK]"},
                       {"continuing_subword_prefix", "##"},
                       {"max_input_chars_per_word", 1000000},
                       {"vocab", {{"a", 0}, {"##a", 1}}}};
  const json levels = {{"type", "WordLevel"}, {"unk_token", "[UNK]"}, {"vocab", {{"a", 0}, {"aa", 1}}}};
  for (const json& model : {pieces, levels}) {
    json config = small_tokenizer();
    config["model"] = model;
    const auto tokenizer = load(config);
    EXPECT_EQ(tokenizer->encode("aa").ids.size(), model["type"] == "WordPiece" ? 2u : 1u);
    EXPECT_THROW(tokenizer->encode("ab"), Error);
    config["model"]["vocab"]["b"] = 1;
    EXPECT_THAT(refusal(config.dump()), HasSubstr("same id"));
  }
}

TEST(HostileFile, AddedTokens) {
  const auto added = [](const json& tokens) { return refusal("/added_tokens", tokens); };
  EXPECT_THAT(added(json::array({added_token("new", 40), added_token("new", 41)})),
              HasSubstr("listed twice"));
  EXPECT_THAT(added(json::array({added_token("", 40)})), HasSubstr("empty"));
  EXPECT_THAT(added(json::array({added_token("new", -1)})), HasSubstr("token id"));
  EXPECT_THAT(added(json::array({added_token("new", 40, {{"special", 1}})})), HasSubstr("true or false"));
  EXPECT_THAT(added(json::array({added_token("new", 40, {{"extra", 1}})})), HasSubstr("unknown field"));
  EXPECT_THAT(added(json::array({7})), HasSubstr("expected an object"));
  const std::string half(2 << 20, 'x');
  EXPECT_EQ(added(json::array({added_token(half, 40), added_token("new", 41)})), "accepted");
  EXPECT_THAT(added(json::array({added_token(half, 40), added_token(half + "y", 41)})),
              HasSubstr("added_tokens: more than 4 MB of text in all"));
}

TEST(HostileFile, AnyByteMayBeWrong) {
  const std::string good = small_tokenizer().dump();
  for (std::uint64_t i = 0; i < 500; ++i) {
    std::string bad = good;
    for (std::uint64_t k = 0; k <= i % 3; ++k) {
      bad[random_bits(5, 2 * k, i) % bad.size()] = static_cast<char>(random_bits(5, 2 * k + 1, i) & 0xFF);
    }
    refusal(bad);  // or accepted; no crash, no other exception
  }
}

std::string refusal_of_file(const std::string& name, const std::string& content) {
  const TemporaryFolder folder;
  folder.write(name, content);
  try {
    load_tokenizer(folder.path());
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kModel);
    EXPECT_THAT(error.what(), HasSubstr(name));
    return error.what();
  }
  return "accepted";
}

TEST(HostileFile, Tiktoken) {
  const auto refused = [](const std::string& lines) {
    return refusal_of_file("tokenizer.model", "IQ== 0\n" + lines);
  };
  EXPECT_THAT(refused(""), HasSubstr("the byte 0 has no token"));
  for (const char* line : {"Ig==", "Ig== x", "Ig== 1 2", "I 1", "Ig== 99999999999", "Ig==  1"})
    EXPECT_THAT(refused(std::string(line) + "\n"), HasSubstr(":2] expected base64")) << line;
  EXPECT_THAT(refused("Ig== -1\n"), HasSubstr("a rank that cannot be a token's id"));
  EXPECT_THAT(refused("Ig== 16777216\n"), HasSubstr("a rank that cannot be a token's id"));
  EXPECT_THAT(refused("IQ== 1\n"), HasSubstr("has another rank"));
  EXPECT_THAT(refused(" 1\n"), HasSubstr("without bytes"));
}

TEST(HostileFile, Tekken) {
  json file = {
      {"config", {{"pattern", "."}, {"default_vocab_size", 266}, {"default_num_special_tokens", 10}}},
      {"vocab", json::array()},
      {"special_tokens", json::array({{{"rank", 0}, {"token_str", "<unk>"}}})}};
  const auto refused = [&](const std::string& pointer, const json& value) {
    json changed = file;
    if (!pointer.empty()) changed[json::json_pointer(pointer)] = value;
    return refusal_of_file("tekken.json", changed.dump());
  };
  EXPECT_THAT(refused("", {}), HasSubstr("the byte 0 has no token"));
  const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (int byte = 0; byte < 256; ++byte) {
    const std::string bytes = {digits[byte >> 2], digits[(byte & 3) << 4], '=', '='};
    file["vocab"].push_back({{"rank", byte}, {"token_bytes", bytes}});
  }
  EXPECT_THAT(refused("/vocab/3/token_bytes", "?"), HasSubstr("vocab[3]] token_bytes: not base64"));
  EXPECT_THAT(refused("/vocab/3/rank", "3"), HasSubstr("token id"));
  EXPECT_THAT(refused("/special_tokens/0/rank", 10), HasSubstr("rank 10 is none of the 10"));
  EXPECT_THAT(refused("/special_tokens", nullptr), HasSubstr("rank 10 is none of the 10"));
  EXPECT_THAT(refused("/config/pattern", "("), HasSubstr("bad regular expression"));
  EXPECT_THAT(refused("/config/default_vocab_size", 5), HasSubstr("the byte 0 has no token"));
  EXPECT_THAT(refused("/config/default_num_special_tokens", -1), HasSubstr("default_num_special_tokens"));
}

TEST(HostileFile, VocabularyWithMerges) {
  const auto refused = [](const std::string& vocabulary, const std::string& merges,
                          const std::string& tokenizer_class = "GPT2Tokenizer") -> std::string {
    const TemporaryFolder folder;
    folder.write("vocab.json", vocabulary);
    folder.write("merges.txt", merges);
    folder.write("tokenizer_config.json", R"({"tokenizer_class": ")" + tokenizer_class + R"("})");
    try {
      load_tokenizer(folder.path());
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kModel);
      return error.what();
    }
    return "accepted";
  };
  const std::string vocabulary = R"({"a": 0, "b": 1, "ab": 2})";
  EXPECT_EQ(refused(vocabulary, "#version: 0.2\na b\r\n\n"), "accepted");
  EXPECT_EQ(refused(vocabulary, "", "Qwen2TokenizerFast"), "accepted");
  EXPECT_THAT(refused(vocabulary, "a b\n", "RobertaTokenizer"), HasSubstr("expected GPT2Tokenizer"));
  for (const char* line : {"a", " b", "a ", "a b c", "a  b"})
    EXPECT_THAT(refused(vocabulary, "a b\n" + std::string(line) + "\n"),
                HasSubstr("merges.txt:2] expected two"))
        << line;
  EXPECT_THAT(refused(vocabulary, "a \xff\n"), HasSubstr("merges.txt] is not UTF-8"));
  EXPECT_THAT(refused(vocabulary, "a c\n"), HasSubstr("vocab.json"));
  EXPECT_THAT(refused(R"({"a": -1})", ""), HasSubstr("token id"));
  EXPECT_THAT(refused("[]", ""), HasSubstr("vocab"));
  EXPECT_THAT(refused("{", ""), HasSubstr("vocab.json] not valid JSON"));
}

TEST(HostileFolder, WithoutATokenizer) {
  const TemporaryFolder folder;
  EXPECT_THROW(load_tokenizer(folder.path()), Error);
  folder.write("tokenizer.model", "nonsense");
  EXPECT_THROW(load_tokenizer(folder.path()), Error);
  folder.write("tokenizer.model", "");
  EXPECT_THROW(load_tokenizer(folder.path()), Error);
  folder.write("tokenizer_config.json", R"({"tokenizer_class": "T5Tokenizer"})");
  EXPECT_THROW(load_tokenizer(folder.path()), Error);
}

TEST(HostileText, LongRunsTakeLinearTime) {
  json config = small_tokenizer();
  config["pre_tokenizer"] = {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}};
  config["model"]["vocab"]["aa"] = 50;
  config["model"]["vocab"]["aaaa"] = 51;
  config["model"]["merges"] = {"a a", "aa aa"};
  config["added_tokens"] = {added_token(std::string(50, 'b'), 52),
                            added_token("<r>", 53, {{"rstrip", true}, {"lstrip", true}})};
  const auto tokenizer = load(config);
  const size_t size = 10'000'000;
  EXPECT_EQ(tokenizer->encode(std::string(size, 'a')).ids.size(), size / 4);
  EXPECT_EQ(tokenizer->encode(std::string(size, 'b')).ids.size(), size / 50);
  EXPECT_EQ(tokenizer->encode(std::string(size, '\n') + "a").ids.size(), 1u);  // line ends have no token
  EXPECT_EQ(tokenizer->encode("<r>" + std::string(size, ' ') + "<r>").ids.size(), 2u);
  config["pre_tokenizer"] = nullptr;
  config["model"] = {{"type", "WordPiece"},
                     {"unk_token", "a"},
                     {"continuing_subword_prefix", "##"},
                     {"max_input_chars_per_word", size},
                     {"vocab", {{"a", 0}, {"##a", 1}, {"##aaaa", 2}}}};
  EXPECT_EQ(load(config)->encode(std::string(size, 'a')).ids.size(), 1 + size / 4 - 1 + 3);
}

}  // namespace
}  // namespace ddro::text
