#include <gmock/gmock.h>

#include "ddro/base/error.h"
#include "ddro/text/model_text.h"
#include "support/temporary_folder.h"
#include "text/end_tokens.h"
#include "text/load_tokenizer.h"
#include "unit/text/tokenizer_files.h"

namespace ddro::text {
namespace {

using testing::ElementsAre;

class EndTokens : public testing::Test {
 protected:
  std::vector<TokenId> read() const {
    const LoadedTokenizer loaded = load_tokenizer_folder(folder_.path());
    return read_end_ids(folder_.path(), *loaded.tokenizer, loaded.named_tokens);
  }
  void SetUp() override { folder_.write("tokenizer.json", small_tokenizer().dump()); }
  const TemporaryFolder folder_;
};

TEST_F(EndTokens, GenerationConfigComesFirst) {
  folder_.write("generation_config.json", R"({"eos_token_id": [5, 3, 5]})");
  folder_.write("config.json", R"({"eos_token_id": 7})");
  folder_.write("tokenizer_config.json", R"({"eos_token": "c"})");
  testing::internal::CaptureStderr();
  EXPECT_THAT(read(), ElementsAre(5, 3));
  EXPECT_THAT(testing::internal::GetCapturedStderr(), testing::HasSubstr("end tokens differ"));
}

TEST_F(EndTokens, OneOfSeveralIsNoDisagreement) {
  folder_.write("generation_config.json", R"({"eos_token_id": [5, 7]})");
  folder_.write("config.json", R"({"eos_token_id": 7})");
  testing::internal::CaptureStderr();
  EXPECT_THAT(read(), ElementsAre(5, 7));
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
}

TEST_F(EndTokens, ConfigThenTokenizer) {
  folder_.write("generation_config.json", R"({"eos_token_id": null})");
  folder_.write("config.json", R"({"eos_token_id": 7})");
  folder_.write("tokenizer_config.json", R"({"eos_token": {"content": "h", "lstrip": false}})");
  testing::internal::CaptureStderr();
  EXPECT_THAT(read(), ElementsAre(7));
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
  folder_.write("config.json", "{}");
  EXPECT_THAT(read(), ElementsAre(7));
}

TEST_F(EndTokens, NoneIsRefused) {
  EXPECT_THAT(read(), testing::IsEmpty());
  EXPECT_THROW(load_model_text(folder_.path(), std::nullopt), Error);
}

// transformers adds what the vocabulary lacks.
TEST_F(EndTokens, ANamedTokenIsAdded) {
  folder_.write("tokenizer_config.json", R"({"eos_token": "new"})");
  EXPECT_THAT(read(), ElementsAre(30));
}

TEST_F(EndTokens, AnotherEndTokenComesBeforeTheFolders) {
  folder_.write("generation_config.json", R"({"eos_token_id": [5, 28]})");
  folder_.write("tokenizer_config.json", R"({"eos_token": "<end>"})");
  const ModelText text = load_model_text(folder_.path(), std::nullopt, "ab");
  EXPECT_THAT(text.end_ids, ElementsAre(28, 5));
  EXPECT_EQ(text.template_variables["eos_token"], "ab");
  EXPECT_EQ(text.new_eos_token, "ab");
  folder_.write("generation_config.json", R"({"eos_token_id": 30})");
  EXPECT_EQ(load_model_text(folder_.path(), std::nullopt, "<end>").new_eos_token, std::nullopt);
}

TEST_F(EndTokens, AnotherEndTokenServesWhereTheFolderHasNone) {
  EXPECT_THAT(load_model_text(folder_.path(), std::nullopt, "abc").end_ids, ElementsAre(29));
}

TEST_F(EndTokens, WhatIsNotOneTokenIsNoEndToken) {
  for (const char* text : {"", "abd", "<end>", "\xff", "a b"}) {
    try {
      load_model_text(folder_.path(), std::nullopt, text);
      FAIL() << text;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kInput);
      EXPECT_THAT(error.what(), testing::HasSubstr("model.eos_token"));
    }
  }
}

TEST_F(EndTokens, BadOnesAreRefused) {
  for (const char* value : {"-1", "1.5", "\"a\"", "99", "[99]", "[[1]]", "1e99", "true"}) {
    folder_.write("config.json", std::string("{\"eos_token_id\": ") + value + "}");
    EXPECT_THROW(read(), Error) << value;
  }
  folder_.write("config.json", "[]");
  EXPECT_THROW(read(), Error);
}

}  // namespace
}  // namespace ddro::text
