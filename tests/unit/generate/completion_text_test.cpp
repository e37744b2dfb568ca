#include "generate/completion_text.h"

#include <gtest/gtest.h>

#include "support/fixtures.h"

namespace ddro::generate {
namespace {

// With a byte-level tokenizer, except where a test says otherwise.
class CompletionTextTest : public testing::Test {
 protected:
  // What is taken after pushing the tokens of `text` up to the one that stops.
  std::string run(const std::string& text, const std::vector<std::string>& stop, bool& stopped) const {
    const auto newline = tokenizer_->encode("\n").ids;
    CompletionText completion(*tokenizer_, stop, newline.back());
    stopped = false;
    for (const text::TokenId id : tokenizer_->encode(text).ids) {
      stopped = completion.push(id);
      if (stopped) break;
    }
    return completion.take();
  }

  std::string run(const std::string& text) const {
    bool stopped = true;
    const std::string result = run(text, {}, stopped);
    EXPECT_FALSE(stopped);
    return result;
  }

  std::unique_ptr<text::Tokenizer> tokenizer_ = text::load_tokenizer(test::fixture("tiny_run/model"));
};

TEST_F(CompletionTextTest, IsTheTextOfItsTokens) {
  for (const std::string text :
       {"", " warm rivers", "a", "Zähle: 東京 🦉!", "two\n\nlines ", "<|im_start|>user"})
    EXPECT_EQ(run(text), text);
}

TEST_F(CompletionTextTest, ShowsAnIncompleteCharacterAtTheEndAsSuch) {
  const std::vector<std::string> none;
  std::vector<text::TokenId> ids = tokenizer_->encode("a東").ids;
  ASSERT_GE(ids.size(), 4u);  // one token a byte
  ids.pop_back();
  CompletionText completion(*tokenizer_, none, 10);
  for (const text::TokenId id : ids) EXPECT_FALSE(completion.push(id));
  EXPECT_EQ(completion.take(), "a\xEF\xBF\xBD");
}

TEST_F(CompletionTextTest, StopsAtTextAcrossTokens) {
  bool stopped = false;
  EXPECT_EQ(run("kind rivers are warm", {"vers a"}, stopped), "kind ri");
  EXPECT_TRUE(stopped);
  EXPECT_EQ(run("one\n\ntwo", {"\n\n"}, stopped), "one");
  EXPECT_TRUE(stopped);
  EXPECT_EQ(run("aé東b", {"東"}, stopped), "aé");
  EXPECT_TRUE(stopped);
  EXPECT_EQ(run("at once", {"at"}, stopped), "");
  EXPECT_TRUE(stopped);
  EXPECT_EQ(run("nothing here", {"there", "nothing  "}, stopped), "nothing here");
  EXPECT_FALSE(stopped);
}

TEST_F(CompletionTextTest, CutsBeforeTheFirstOfSeveral) {
  bool stopped = false;
  EXPECT_EQ(run("abcdef", {"ef", "cd", "d"}, stopped), "ab");
  EXPECT_TRUE(stopped);
}

// The decoder of a SentencePiece-like model drops the first space of a text, not of a completion.
TEST_F(CompletionTextTest, KeepsTheSpaceBehindThePrompt) {
  for (const std::string name : {"sp_new", "sp_legacy"}) {
    const auto tokenizer = text::load_tokenizer(test::fixture("tokenizers/" + name));
    const std::vector<std::string> none;
    const auto ids = tokenizer->encode("one two three").ids;
    size_t prompt = 1;
    while (prompt < ids.size() && tokenizer->decode(std::span(ids).first(prompt)) != "one") ++prompt;
    const std::span rest = std::span(ids).subspan(prompt);
    ASSERT_FALSE(rest.empty());
    EXPECT_EQ(tokenizer->decode(rest), "two three");
    CompletionText completion(*tokenizer, none, ids[prompt - 1]);
    for (const text::TokenId id : rest) completion.push(id);
    EXPECT_EQ(completion.take(), " two three");
  }
}

}  // namespace
}  // namespace ddro::generate
