// Files beside a tokenizer.json that add to it; the parity tests compare many more with transformers.
#include <gmock/gmock.h>

#include "ddro/base/error.h"
#include "ddro/text/model_text.h"
#include "support/temporary_folder.h"
#include "text/load_tokenizer.h"
#include "unit/text/tokenizer_files.h"

namespace ddro::text {
namespace {

using Ids = std::vector<TokenId>;
using testing::ElementsAre;
using testing::HasSubstr;

class TokenizerFolder : public testing::Test {
 protected:
  void SetUp() override {
    json tokenizer = small_tokenizer();
    tokenizer["added_tokens"] = {added_token("<s>", 30), added_token("</s>", 31)};
    write("tokenizer.json", tokenizer);
  }
  void write(const std::string& name, const json& content) { folder_.write(name, content.dump()); }
  LoadedTokenizer load(const json& config) {
    write("tokenizer_config.json", config);
    return load_tokenizer_folder(folder_.path());
  }
  std::string refusal(const json& config) {
    try {
      load(config);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kModel);
      return error.what();
    }
    return "accepted";
  }
  Ids encode(const json& config, const std::string& text) { return load(config).tokenizer->encode(text).ids; }

  const TemporaryFolder folder_;
};

TEST_F(TokenizerFolder, ClassesThatMakeThePostProcessorReadItsFlags) {
  const auto prefix = [&](const char* name, const json& flags) {
    json config = {{"tokenizer_class", name}, {"bos_token", "<s>"}, {"eos_token", "</s>"}};
    config.update(flags);
    return load(config).tokenizer->prefix_ids();
  };
  for (const char* name :
       {"LlamaTokenizer", "LlamaTokenizerFast", "GemmaTokenizerFast", "CohereTokenizerFast"}) {
    EXPECT_THAT(prefix(name, json::object()), ElementsAre(30)) << name;
    EXPECT_THAT(prefix(name, {{"add_bos_token", false}}), ElementsAre()) << name;
  }
  EXPECT_THAT(prefix("GPTNeoXTokenizerFast", json::object()), ElementsAre());
  EXPECT_THAT(prefix("GPTNeoXTokenizerFast", {{"add_bos_token", true}}), ElementsAre(30));
  EXPECT_THAT(prefix("PreTrainedTokenizerFast", {{"add_bos_token", true}}), ElementsAre());
  EXPECT_THAT(prefix("TokenizersBackend", {{"add_bos_token", true}}), ElementsAre(30));
}

TEST_F(TokenizerFolder, ConfigNamesTheClassWhereTheTokenizerDoesNot) {
  write("config.json", {{"model_type", "llama"}});
  EXPECT_THAT(load(json::object()).tokenizer->prefix_ids(), ElementsAre(30));
  write("config.json", {{"model_type", "qwen2"}});
  EXPECT_THAT(load(json::object()).tokenizer->prefix_ids(), ElementsAre());
  write("config.json", {{"model_type", "qwen2"}, {"tokenizer_class", "LlamaTokenizer"}});
  EXPECT_THAT(load(json::object()).tokenizer->prefix_ids(), ElementsAre(30));
}

TEST_F(TokenizerFolder, AddsListedTokens) {
  const json listed = {{"tokenizer_class", "PreTrainedTokenizerFast"},
                       {"added_tokens_decoder",
                        {{"32", {{"content", "<a>"}, {"special", true}, {"normalized", false}}},
                         {"33", {{"content", "<b>"}, {"rstrip", true}, {"normalized", false}}}}}};
  const LoadedTokenizer loaded = load(listed);
  EXPECT_EQ(loaded.tokenizer->encode("a<a>b<b> c").ids, (Ids{0, 32, 1, 33, 2}));
  EXPECT_TRUE(loaded.tokenizer->is_control(32));
  EXPECT_FALSE(loaded.tokenizer->is_control(33));
  EXPECT_EQ(loaded.tokenizer->id_limit(), 34);
  EXPECT_EQ(loaded.tokenizer->decode(Ids{32, 0, 33}), "<a>a<b>");
}

TEST_F(TokenizerFolder, ListedTokensThatContradictGetTheNextId) {
  testing::internal::CaptureStderr();
  EXPECT_EQ(encode({{"added_tokens_decoder", {{"99", {{"content", "<a>"}}}}}}, "<a>"), (Ids{32}));
  EXPECT_THAT(testing::internal::GetCapturedStderr(), HasSubstr("\"<a>\" has id 99 there; it gets 32"));
}

TEST_F(TokenizerFolder, ListedFlagsCountBeforeTheFiles) {
  EXPECT_EQ(
      encode({{"added_tokens_decoder",
               {{"30", {{"content", "<s>"}, {"lstrip", true}, {"special", true}, {"normalized", false}}}}}},
             "a <s>b"),
      (Ids{0, 30, 1}));
}

TEST_F(TokenizerFolder, AddsNamedTokens) {
  const LoadedTokenizer loaded =
      load({{"pad_token", "<pad>"},
            {"eos_token", {{"__type", "AddedToken"}, {"content", "<e>"}, {"normalized", false}}},
            {"additional_special_tokens", {"<x>", "abc"}},
            {"extra_special_tokens", {{"image_token", "<img>"}}}});
  EXPECT_EQ(loaded.tokenizer->encode("<e><pad><x>abc<img>").ids, (Ids{32, 33, 34, 29, 35}));
  EXPECT_EQ(loaded.named_tokens["eos_token"], "<e>");
  EXPECT_EQ(loaded.named_tokens["image_token"], "<img>");
  EXPECT_EQ(loaded.named_tokens["additional_special_tokens"], (Json{"<x>", "abc"}));
  EXPECT_TRUE(loaded.tokenizer->is_control(29));
}

TEST_F(TokenizerFolder, OlderFilesCountWhereNothingIsListed) {
  write("special_tokens_map.json", {{"bos_token", {{"content", "<b>"}}}, {"pad_token", "<p>"}});
  write("added_tokens.json", {{"<t>", 32}});
  const LoadedTokenizer older = load({{"bos_token", "<s>"}});
  EXPECT_EQ(older.tokenizer->encode("<t><b><p>").ids, (Ids{32, 33, 34}));
  EXPECT_EQ(older.named_tokens["bos_token"], "<b>");
  const LoadedTokenizer newer = load({{"bos_token", "<s>"}, {"added_tokens_decoder", json::object()}});
  EXPECT_EQ(newer.named_tokens["bos_token"], "<s>");
  EXPECT_EQ(newer.tokenizer->id_of("<t>"), -1);
}

TEST_F(TokenizerFolder, PrefixSpaceOfByteLevelIsTheConfigs) {
  json tokenizer = small_tokenizer();
  tokenizer["pre_tokenizer"] = {
      {"type", "ByteLevel"}, {"add_prefix_space", true}, {"trim_offsets", true}, {"use_regex", false}};
  tokenizer["model"]["vocab"]["\u0120"] = 30;
  write("tokenizer.json", tokenizer);
  EXPECT_EQ(encode({{"tokenizer_class", "GPT2TokenizerFast"}, {"add_prefix_space", true}}, "z"),
            (Ids{30, 25}));
  EXPECT_EQ(encode({{"tokenizer_class", "GPT2TokenizerFast"}}, "z"), (Ids{25}));
  EXPECT_EQ(encode({{"tokenizer_class", "LlamaTokenizerFast"}}, "z"), (Ids{30, 25}));
}

TEST_F(TokenizerFolder, RefusesBrokenEntriesByPlace) {
  EXPECT_THAT(refusal({{"added_tokens_decoder", {{"x", {{"content", "a"}}}}}}),
              HasSubstr("expected a token id"));
  EXPECT_THAT(refusal({{"added_tokens_decoder", {{"1", {{"content", ""}}}}}}), HasSubstr("content is empty"));
  EXPECT_THAT(refusal({{"added_tokens_decoder", 5}}), HasSubstr("expected an object"));
  EXPECT_THAT(refusal({{"bos_token", 5}}), HasSubstr("bos_token] got number, expected a token"));
  EXPECT_THAT(refusal({{"additional_special_tokens", "x"}}), HasSubstr("expected a list"));
  EXPECT_THAT(refusal({{"tokenizer_class", "LlamaTokenizer"}, {"bos_token", nullptr}}),
              HasSubstr("add_bos_token is true, but there is no bos_token"));
}

// A change of any file that decides which ids a text gets.
TEST_F(TokenizerFolder, HashFollowsEveryFileThatDecides) {
  const json plain = {{"tokenizer_class", "PreTrainedTokenizerFast"}};
  std::set<std::string> hashes = {load(plain).hash};
  const auto is_new = [&] { return hashes.insert(load_tokenizer_folder(folder_.path()).hash).second; };
  EXPECT_FALSE(is_new());
  write("special_tokens_map.json", {{"pad_token", "<pad>"}});
  EXPECT_TRUE(is_new());
  write("added_tokens.json", {{"<t>", 32}});
  EXPECT_TRUE(is_new());
  write("tokenizer_config.json", {{"tokenizer_class", "LlamaTokenizer"}});
  EXPECT_TRUE(is_new());
  write("tokenizer_config.json", {{"tokenizer_class", "LlamaTokenizer"}, {"add_bos_token", false}});
  EXPECT_TRUE(is_new());
  write("tokenizer_config.json",
        {{"added_tokens_decoder", {{"30", {{"content", "<s>"}, {"rstrip", true}}}}}});
  EXPECT_TRUE(is_new());
  write("tokenizer_config.json", {{"added_tokens_decoder", json::object()}, {"eos_token", "</s>"}});
  EXPECT_TRUE(is_new());
  write("tokenizer.json", small_tokenizer());
  EXPECT_TRUE(is_new());
}

TEST_F(TokenizerFolder, TemplateHashCoversAdditionalTemplates) {
  const auto hash = [&] { return load_model_text(folder_.path(), std::nullopt).template_hash; };
  write("tokenizer_config.json", {{"eos_token", "</s>"}, {"chat_template", "one"}});
  const std::string configured = hash();
  folder_.write("chat_template.jinja", "two");
  const std::string file = hash();
  std::filesystem::create_directory(folder_.path() / "additional_chat_templates");
  folder_.write("additional_chat_templates/rag.jinja", "three");
  const std::string additional = hash();
  folder_.write("additional_chat_templates/rag.jinja", "four");
  EXPECT_EQ((std::set<std::string>{configured, file, additional, hash()}).size(), 4U);
}

TEST_F(TokenizerFolder, KeepsWhatAnExportMustSayOtherwise) {
  write("tokenizer_config.json", {{"eos_token", "</s>"}, {"chat_template", "one"}});
  folder_.write("other.jinja", "two");
  folder_.write("same.jinja", "one");
  const auto with = [&](const char* name) {
    return load_model_text(folder_.path(), (folder_.path() / name).string());
  };
  EXPECT_EQ(with("other.jinja").new_chat_template, "two");
  EXPECT_EQ(with("same.jinja").new_chat_template, std::nullopt);
  EXPECT_EQ(load_model_text(folder_.path(), std::nullopt).new_chat_template, std::nullopt);
}

// The ids in front of the cut are those of the text in front of it.
TEST_F(TokenizerFolder, NoTokenCrossesACut) {
  const auto tokenizer = load(json::object()).tokenizer;
  const Encoding cut = tokenizer->encode("zabc", {}, 2);
  EXPECT_EQ(cut.ids, (Ids{25, 0, 1, 2}));
  EXPECT_THAT(cut.offsets, ElementsAre(Span{0, 1}, Span{1, 2}, Span{2, 3}, Span{3, 4}));
  EXPECT_EQ(tokenizer->encode("<s>", {}, 1).ids, (Ids{18}));
  EXPECT_EQ(tokenizer->encode("abc", {}, 0).ids, (Ids{29}));
  EXPECT_EQ(tokenizer->encode("abc", {}, 3).ids, (Ids{29}));
}

TEST_F(TokenizerFolder, NothingIsPutBehindACut) {
  for (const json& spaces :
       {json{{"normalizer", {{"type", "Prepend"}, {"prepend", "q"}}}}, json{{"pre_tokenizer",
                                                                             {{"type", "Metaspace"},
                                                                              {"replacement", "q"},
                                                                              {"prepend_scheme", "always"},
                                                                              {"split", false}}}}}) {
    json tokenizer = small_tokenizer();
    tokenizer.update(spaces);
    write("tokenizer.json", tokenizer);
    const auto loaded = load_tokenizer(folder_.path());
    EXPECT_EQ(loaded->encode("xz").ids, (Ids{16, 23, 25}));
    EXPECT_EQ(loaded->encode("xz", {}, 1).ids, (Ids{16, 23, 25}));
  }
}

}  // namespace
}  // namespace ddro::text
