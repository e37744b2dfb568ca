#include <gmock/gmock.h>

#include "ddro/base/error.h"
#include "support/temporary_folder.h"
#include "text/end_tokens.h"
#include "unit/text/tokenizer_files.h"

namespace ddro::text {
namespace {

using testing::ElementsAre;

class EndTokens : public testing::Test {
 protected:
  std::vector<TokenId> read() const {
    return read_end_ids(folder_.path(), *tokenizer_, read_named_tokens(folder_.path()));
  }
  const TemporaryFolder folder_;
  const std::unique_ptr<Tokenizer> tokenizer_ = load(small_tokenizer());
};

TEST_F(EndTokens, GenerationConfigComesFirst) {
  folder_.write("generation_config.json", R"({"eos_token_id": [5, 3, 5]})");
  folder_.write("config.json", R"({"eos_token_id": 7})");
  folder_.write("tokenizer_config.json", R"({"eos_token": "c"})");
  testing::internal::CaptureStderr();
  EXPECT_THAT(read(), ElementsAre(5, 3));
  EXPECT_THAT(testing::internal::GetCapturedStderr(), testing::HasSubstr("end tokens differ"));
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
  EXPECT_THROW(read(), Error);
  folder_.write("tokenizer_config.json", R"({"eos_token": "not a token"})");
  EXPECT_THROW(read(), Error);
}

TEST_F(EndTokens, BadOnesAreRefused) {
  for (const char* value : {"-1", "1.5", "\"a\"", "99", "[99]", "[[1]]", "1e99", "true"}) {
    folder_.write("config.json", std::string("{\"eos_token_id\": ") + value + "}");
    EXPECT_THROW(read(), Error) << value;
  }
  folder_.write("config.json", "[]");
  EXPECT_THROW(read(), Error);
}

TEST_F(EndTokens, NamedTokensComeFromBothFiles) {
  folder_.write("tokenizer_config.json",
                R"({"bos_token": null, "eos_token": {"content": "e"}, "add_bos_token": true})");
  folder_.write("special_tokens_map.json", R"({"bos_token": "b", "eos_token": "other", "pad_token": "p"})");
  const Json tokens = read_named_tokens(folder_.path());
  EXPECT_EQ(tokens["bos_token"], "b");
  EXPECT_EQ(tokens["eos_token"], "e");
  EXPECT_EQ(tokens["pad_token"], "p");
}

}  // namespace
}  // namespace ddro::text
