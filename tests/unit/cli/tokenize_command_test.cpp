#include <gmock/gmock.h>

#include <filesystem>

#include "support/run_program.h"
#include "support/temporary_folder.h"
#include "unit/cli/small_tokenizer.h"

namespace ddro {
namespace {

using test::ddro_train;
using test::ProgramResult;
using test::TemporaryFolder;
using ::testing::HasSubstr;

class TokenizeCommand : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_.write("tokenizer.json", test::kSmallTokenizer);
    folder_.write("tokenizer_config.json", R"({"eos_token": "<|end|>", "chat_template":
        "{% for m in messages %}{{ m['content'] }}<|end|>{% endfor %}{% if add_generation_prompt %}b{% endif %}"})");
    folder_.write("config.json", R"({"model_type": "llama", "eos_token_id": 3})");
  }

  ProgramResult run(const std::string& input, std::vector<std::string> more = {}) {
    std::vector<std::string> arguments = {"tokenize", "--model", folder_.path().string()};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return ddro_train(arguments, input);
  }

  TemporaryFolder folder_;
};

TEST_F(TokenizeCommand, GivesOneArrayALine) {
  const ProgramResult result = run("abba\n\na<|end|>b");
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(result.out, "[2,1,0]\n[]\n[0,3,1]\n");
}

TEST_F(TokenizeCommand, RendersChats) {
  const std::string chat = R"([{"role": "user", "content": "ab"}])";
  EXPECT_EQ(run(chat + "\n", {"--chat"}).out, "[2,3]\n");
  EXPECT_EQ(run(chat + "\n", {"--chat", "--generation-prompt"}).out, "[2,3,1]\n");
}

TEST_F(TokenizeCommand, NamesTheLineOfBadInput) {
  const ProgramResult invalid = run("ab\na\xff\n");
  EXPECT_EQ(invalid.exit_code, 2);
  EXPECT_THAT(invalid.err, HasSubstr("[stdin:2] not valid UTF-8 at byte 1"));
  EXPECT_THAT(run("{", {"--chat"}).err, HasSubstr("[stdin:1] not valid JSON"));
  const ProgramResult no_list = run("{\"role\": 1}", {"--chat"});
  EXPECT_EQ(no_list.exit_code, 2);
  EXPECT_THAT(no_list.err, HasSubstr("[stdin:1] not a list of messages"));
}

TEST_F(TokenizeCommand, NamesAFolderThatIsNoModel) {
  const ProgramResult result = ddro_train({"tokenize", "--model", "/nonexistent/model"}, "a\n");
  EXPECT_EQ(result.exit_code, 3);
  EXPECT_THAT(result.err, HasSubstr("/nonexistent/model"));
}

TEST_F(TokenizeCommand, ChatNeedsATemplate) {
  folder_.write("tokenizer_config.json", R"({"eos_token": "<|end|>"})");
  const ProgramResult result = run("[]\n", {"--chat"});
  EXPECT_EQ(result.exit_code, 3);
  EXPECT_THAT(result.err, HasSubstr("has no chat template"));
}

}  // namespace
}  // namespace ddro
