// Tokenizers of GGUF files against the ones that the files were made from.
#include <gtest/gtest.h>

#include "ddro/base/json.h"
#include "ddro/text/model_text.h"
#include "support/fixtures.h"
#include "text/load_tokenizer.h"

namespace ddro::text {
namespace {

using Ids = std::vector<TokenId>;

class GgufTokenizerParity : public testing::TestWithParam<std::string> {
 protected:
  std::filesystem::path file(const std::string& ending) const {
    return test::fixture("gguf_tokenizers/" + GetParam() + ending);
  }
};

TEST_P(GgufTokenizerParity, GivesTheSameIds) {
  const Json expected = read_json_file(file(".json").string(), ErrorKind::kInput);
  const LoadedTokenizer loaded = load_tokenizer_folder(file(".gguf"));
  EXPECT_EQ(loaded.named_tokens, expected["named"]);
  EXPECT_EQ(loaded.tokenizer->prefix_ids(), expected["prefix"].get<Ids>());
  EXPECT_TRUE(loaded.tokenizer->suffix_ids().empty());
  ASSERT_GT(expected["texts"].size(), 150U);
  for (size_t i = 0; i < expected["texts"].size(); ++i) {
    const auto text = expected["texts"][i].get<std::string>();
    EXPECT_EQ(loaded.tokenizer->encode(text).ids, expected["ids"][i].get<Ids>()) << expected["texts"][i];
  }
}

INSTANTIATE_TEST_SUITE_P(Files, GgufTokenizerParity,
                         testing::Values("gpt-2", "smollm", "llama-bpe", "qwen2", "llama", "llama_no_space",
                                         "gemma"),
                         [](const auto& each) {
                           std::string name = each.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

TEST(GgufText, HasTheTemplateAndTheEndToken) {
  const ModelText text = load_model_text(test::fixture("gguf_models/qwen2.gguf"), std::nullopt);
  ASSERT_NE(text.chat_template, nullptr);
  EXPECT_EQ(text.chat_template->render(Json::array({{{"role", "user"}, {"content", "Hi"}}}), {}).text,
            "Hi</s>");
  EXPECT_EQ(text.end_ids, Ids{2});
  EXPECT_FALSE(text.new_eos_token);
}

}  // namespace
}  // namespace ddro::text
