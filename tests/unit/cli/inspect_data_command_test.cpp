#include <gmock/gmock.h>

#include "support/run_program.h"
#include "support/temporary_folder.h"
#include "unit/cli/small_tokenizer.h"

namespace ddro {
namespace {

using test::ddro_train;
using test::ProgramResult;
using test::TemporaryFolder;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class InspectData : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_.write("tokenizer.json", test::kSmallTokenizer);
    folder_.write("tokenizer_config.json", R"({"eos_token": "<|end|>", "chat_template":
        "{% for m in messages %}{{ m['content'] }}<|end|>{% endfor %}"})");
  }

  // `rows`: the file's lines.
  ProgramResult inspect(const std::string& rows, std::vector<std::string> more = {}) const {
    std::vector<std::string> arguments = {"inspect", "data", folder_.write("rows.jsonl", rows).string(),
                                          "--model", folder_.path().string()};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return ddro_train(arguments);
  }

  TemporaryFolder folder_;
};

TEST_F(InspectData, ShowsTheSet) {
  const ProgramResult result =
      inspect(R"({"prompt": "a", "completion": "ab", "label": true, "weight": 3})"
              "\n"
              R"({"prompt": "ab", "completion": "bb", "label": false, "finished": false})"
              "\n"
              R"({"prompt": "ab", "completion": "bb", "label": false, "finished": false, "source": 1})"
              "\n"
              R"({"prompt": "b", "completion": "a", "label": false})"
              "\n");
  EXPECT_EQ(result.exit_code, 0) << result.err;
  for (const char* part :
       {"rows        4 read, 4 used, 0 dropped; single completions, 12 tokens\n",
        "alpha       0.5 (objective.alpha: auto)\n",
        "preferred   1 completions, weight 3, 100.0 % with an end token\n"
        "  prompt tokens      p50 1, p90 1, p99 1, max 1\n"
        "  completion tokens  p50 2, p90 2, p99 2, max 2\n"
        "  sequence tokens    p50 3, p90 3, p99 3, max 3\n",
        "unpreferred 3 completions, weight 3, 33.3 % with an end token\n",
        "note        1 rows repeat an earlier row\n", "note        field \"source\" is not used\n"}) {
    EXPECT_THAT(result.out, HasSubstr(part));
  }
  EXPECT_THAT(result.out, Not(HasSubstr("dropped     ")));
}

TEST_F(InspectData, ListsEachRowThatARunWouldRefuse) {
  const ProgramResult result = inspect(R"({"prompt": "a", "completion": "ab", "label": true})"
                                       "\n"
                                       "no row\n"
                                       R"({"prompt": "a", "completion": "abababab", "label": true})"
                                       "\n",
                                       {"--max-length", "4"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("3 read, 1 used, 2 dropped"));
  EXPECT_THAT(result.out, HasSubstr("rows.jsonl:2: not valid JSON"));
  EXPECT_THAT(result.out, HasSubstr("rows.jsonl:3: 6 tokens, more than data.max_length 4\n"));
  EXPECT_THAT(result.out, HasSubstr("dropped     listed here; in a run such a row is an error unless"));
  EXPECT_THAT(result.out, HasSubstr("unpreferred 0 completions, weight 0\n  prompt tokens      none\n"));
}

TEST_F(InspectData, ShowsRowsWithoutALabelAsSftTakesThem) {
  const ProgramResult result = inspect(R"({"prompt": "a", "completion": "ab"})"
                                       "\n");
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.err, HasSubstr("layout labels without a label (preferred ones to sft)"));
  EXPECT_THAT(result.out, HasSubstr("preferred   1 completions"));
}

TEST_F(InspectData, MarksTokensCompletionAndControlTokens) {
  const ProgramResult shown = inspect(
      R"({"prompt": [{"role": "user", "content": "ab\n"}], "chosen": [{"role": "assistant", "content": "bé"}], )"
      R"("rejected": [{"role": "assistant", "content": "\u001b"}], "weight": 0.5})"
      "\n");
  EXPECT_EQ(shown.exit_code, 0) << shown.err;
  EXPECT_THAT(shown.out, HasSubstr("rows.jsonl:1  weight 0.5\npreferred, 3 prompt and 4 completion tokens\n"
                                   "  ab|\\n|[<|end|>]|>>>|b|\uFFFD|\uFFFD|[<|end|>]\n  2 6 3 >>> 1 4 5 3\n"
                                   "unpreferred, 3 prompt and 2 completion tokens\n"
                                   "  ab|\\n|[<|end|>]|>>>|\\x1B|[<|end|>]\n  2 6 3 >>> 7 3\n"));
}

TEST_F(InspectData, ShowsAsManyRowsAsAskedFor) {
  std::string rows;
  for (int i = 0; i < 5; ++i)
    rows += R"({"prompt": "a", "completion": "ab", "label": true})"
            "\n";
  EXPECT_THAT(inspect(rows).out, AllOf(HasSubstr("\nrow 2  "), Not(HasSubstr("\nrow 3  "))));
  EXPECT_THAT(inspect(rows, {"--rows", "5"}).out, HasSubstr("\nrow 4  "));
  EXPECT_THAT(inspect(rows, {"--rows", "0"}).out, Not(HasSubstr("\nrow ")));
  EXPECT_EQ(inspect(rows, {"--rows", "-1"}).exit_code, 2);
}

TEST_F(InspectData, TakesAnotherTemplateAndParsesControlTokens) {
  const std::string rows =
      R"({"prompt": [{"role": "user", "content": "b"}], "completion": [{"role": "assistant", "content": "b<|end|>"}], )"
      R"("label": true, "finished": false})"
      "\n";
  const std::string other =
      folder_.write("other.jinja", "bb{% for m in messages %}{{ m['content'] }}{% endfor %}").string();
  const ProgramResult result = inspect(rows, {"--chat-template", other, "--parse-control-tokens"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, AllOf(HasSubstr("  1 1 1 >>> 1\n"), HasSubstr("1 rows spell a control token")));
}

TEST_F(InspectData, TakesLayoutAndColumnsAsARunDoes) {
  const std::string rows = R"({"question": "b", "output": ["a", "ab"]})"
                           "\n";
  const ProgramResult result = inspect(rows, {"--layout", "alpaca", "--columns", "instruction=question"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.err, HasSubstr("layout alpaca pairs, 1 rows"));
  EXPECT_THAT(result.out, HasSubstr("1 read, 1 used"));
  EXPECT_THAT(inspect(rows, {"--columns", "instruction=question", "--layout", "hh"}).err,
              HasSubstr("no usable row among 1"));
}

TEST_F(InspectData, GivesTheTemplateVariables) {
  folder_.write("chat_template.jinja",
                "{{ word }}{% for m in messages %}{{ m['content'] }}<|end|>{% endfor %}");
  const std::string rows =
      R"({"prompt": [{"role": "user", "content": "a"}], "completion": [{"role": "assistant", "content": "b"}], "label": true})"
      "\n";
  EXPECT_THAT(inspect(rows).out, HasSubstr("\n  a|[<|end|>]|>>>|b|"));
  EXPECT_THAT(inspect(rows, {"--chat-template-kwargs", R"({"word": "b"})"}).out,
              HasSubstr("\n  b|a|[<|end|>]|>>>|b|"));
}

TEST_F(InspectData, ColoursATerminal) {
  const std::string rows =
      R"({"prompt": [{"role": "user", "content": "a"}], "completion": [{"role": "assistant", "content": "ab"}], "label": true})"
      "\n";
  inspect(rows);
  const std::string command = "\"$DDRO_TRAIN\" inspect data " + (folder_.path() / "rows.jsonl").string() +
                              " --model " + folder_.path().string();
  const auto on_terminal = [&](const std::string& setting) {
    return test::run_program(
               {"env", "-u", "NO_COLOR", "TERM=xterm", "script", "-qec", setting + command, "/dev/null"})
        .out;
  };
  EXPECT_THAT(
      on_terminal(""),
      HasSubstr("\x1b[2ma\x1b[0m\x1b[2m\x1b[7m<|end|>\x1b[0m\x1b[36mab\x1b[0m\x1b[33m\x1b[7m<|end|>\x1b[0m"));
  EXPECT_THAT(on_terminal("NO_COLOR=1 "), AllOf(HasSubstr("a|[<|end|>]|>>>|ab"), Not(HasSubstr("\x1b"))));
}

TEST_F(InspectData, RefusesWhatCannotBeShown) {
  EXPECT_EQ(inspect("").exit_code, 2);
  EXPECT_THAT(inspect("{}\n").err, HasSubstr("no usable row among 1"));
  EXPECT_EQ(ddro_train({"inspect", "data", "nowhere.jsonl", "--model", folder_.path().string()}).exit_code,
            2);
  EXPECT_EQ(ddro_train({"inspect", "data", "nowhere.jsonl", "--model", "/nonexistent/model"}).exit_code, 3);
}

}  // namespace
}  // namespace ddro
