// Tokenizers whose neighbouring files add to them, against transformers' AutoTokenizer on the same folders.
#include <gtest/gtest.h>

#include <filesystem>

#include "ddro/base/json.h"
#include "support/fixtures.h"
#include "text/load_tokenizer.h"

namespace ddro::text {
namespace {

using Ids = std::vector<TokenId>;

std::vector<std::filesystem::path> cases() {
  std::vector<std::filesystem::path> result;
  for (const auto& entry : std::filesystem::directory_iterator(test::fixture("tokenizer_configs"))) {
    if (entry.is_directory()) result.push_back(entry.path());
  }
  std::sort(result.begin(), result.end());
  return result;
}

void compare(const std::filesystem::path& folder) {
  const Json expected = read_json_file((folder / "expected.json").string(), ErrorKind::kInput);
  const LoadedTokenizer loaded = load_tokenizer_folder(folder);
  EXPECT_EQ(loaded.named_tokens, expected["named"]);
  EXPECT_EQ(loaded.tokenizer->prefix_ids(), expected["prefix"].get<Ids>());
  EXPECT_EQ(loaded.tokenizer->suffix_ids(), expected["suffix"].get<Ids>());
  for (size_t i = 0; i < expected["texts"].size(); ++i) {
    const auto text = expected["texts"][i].get<std::string>();
    ASSERT_EQ(loaded.tokenizer->encode(text).ids, expected["ids"][i].get<Ids>()) << expected["texts"][i];
  }
}

TEST(TokenizerConfigParity, GivesWhatAutoTokenizerGives) {
  const auto folders = cases();
  ASSERT_GT(folders.size(), 200U);
  for (const auto& folder : folders) {
    SCOPED_TRACE(folder.filename().string());
    ASSERT_NO_THROW(compare(folder));
  }
}

// As split_special_tokens has it; what merging alone makes of a control token's text is held back here.
TEST(TokenizerConfigParity, LiteralTextIsSplitAtOtherAddedTokensAlone) {
  for (const auto& folder : cases()) {
    if (folder.filename() == "listed_in_vocabulary") continue;
    SCOPED_TRACE(folder.filename().string());
    const Json expected = read_json_file((folder / "expected.json").string(), ErrorKind::kInput);
    const auto tokenizer = load_tokenizer(folder);
    for (size_t i = 0; i < expected["texts"].size(); ++i) {
      const auto text = expected["texts"][i].get<std::string>();
      const std::vector<Span> whole = {{0, text.size()}};
      const auto split = expected["split"][i].get<Ids>();
      const bool spelled =
          std::any_of(split.begin(), split.end(), [&](TokenId id) { return tokenizer->is_control(id); });
      if (!spelled) {
        ASSERT_EQ(tokenizer->encode(text, whole).ids, split) << expected["texts"][i];
      }
    }
  }
}

}  // namespace
}  // namespace ddro::text
