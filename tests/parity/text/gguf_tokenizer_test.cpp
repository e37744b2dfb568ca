// Tokenizers of GGUF files against the ones that the files were made from.
#include <gtest/gtest.h>

#include <algorithm>

#include "ddro/base/json.h"
#include "ddro/text/gguf_tokenizer.h"
#include "ddro/text/model_text.h"
#include "support/fixtures.h"
#include "support/temporary_folder.h"
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

// Numbers and texts of every key; ids without a token may have any name.
void expect_same_metadata(const GgufFile& file, const GgufFile& source) {
  constexpr double kUnused = 5;
  const std::vector<double> kinds = source.numbers("tokenizer.ggml.token_type");
  EXPECT_EQ(file.numbers("tokenizer.ggml.token_type"), kinds);
  const auto &tokens = file.texts("tokenizer.ggml.tokens"), &expected = source.texts("tokenizer.ggml.tokens");
  ASSERT_EQ(tokens.size(), expected.size());
  for (size_t id = 0; id < tokens.size(); ++id) {
    if (kinds[id] == kUnused) continue;
    EXPECT_EQ(tokens[id], expected[id]) << id;
  }
  EXPECT_EQ(file.texts("tokenizer.ggml.merges"), source.texts("tokenizer.ggml.merges"));
  EXPECT_EQ(file.numbers("tokenizer.ggml.scores"), source.numbers("tokenizer.ggml.scores"));
  for (const char* role : {"bos", "eos", "unknown", "padding"}) {
    const std::string key = std::string("tokenizer.ggml.") + role + "_token_id";
    EXPECT_EQ(file.integer(key), source.integer(key)) << key;
  }
  EXPECT_EQ(file.text("tokenizer.ggml.model"), source.text("tokenizer.ggml.model"));
  EXPECT_EQ(file.text("tokenizer.ggml.pre"), source.text("tokenizer.ggml.pre").value_or("default"));
  EXPECT_EQ(file.boolean("tokenizer.ggml.add_space_prefix"),
            source.boolean("tokenizer.ggml.add_space_prefix"));
}

TEST_P(GgufTokenizerParity, IsWrittenAsItIs) {
  const test::TemporaryFolder folder;
  const GgufFile source(file(".gguf"));
  LoadedTokenizer loaded = load_tokenizer_folder(file(".gguf"));
  ModelText text;
  text.tokenizer = std::move(loaded.tokenizer);
  text.template_variables = std::move(loaded.named_tokens);
  text.end_ids = {text.tokenizer->id_of(text.template_variables.at("eos_token").get<std::string>())};
  GgufWriter writer;
  writer.add_text("general.architecture", *source.text("general.architecture"));
  add_gguf_tokenizer(writer, file(".gguf"), text,
                     static_cast<std::int64_t>(source.texts("tokenizer.ggml.tokens").size()));
  writer.write(folder / "out.gguf");
  expect_same_metadata(GgufFile(folder / "out.gguf"), source);
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
