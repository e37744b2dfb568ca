#include "ddro/data/preference_row.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "data/row_reader.h"
#include "ddro/base/error.h"

namespace ddro::data {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::string text_of(const Content& content) { return std::get<std::string>(content); }
PreferenceRow parse_text(const std::string& text, const std::string& where) {
  RawRow row;
  row.text = text;
  row.where = where;
  return parse_row(fields_of(row), where);
}
Json messages_of(const Content& content) { return std::get<Json>(content); }

TEST(ParseRow, ReadsAPairOfStrings) {
  const PreferenceRow row = parse_text(
      R"({"prompt": "2+2=", "chosen": "4", "rejected": "5", "rejected_finished": false, "weight": 2.5})",
      "a.jsonl:3");
  EXPECT_EQ(row.kind, RowKind::kPaired);
  EXPECT_EQ(row.where, "a.jsonl:3");
  EXPECT_EQ(text_of(row.prompt), "2+2=");
  EXPECT_EQ(text_of(row.chosen.content), "4");
  EXPECT_EQ(text_of(row.rejected.content), "5");
  EXPECT_TRUE(row.chosen.finished);
  EXPECT_FALSE(row.rejected.finished);
  EXPECT_EQ(row.weight, 2.5);
  EXPECT_THAT(row.ignored_fields, IsEmpty());
}

TEST(ParseRow, ReadsAnUnpairedRow) {
  const PreferenceRow row =
      parse_text(R"({"label": false, "prompt": "", "finished": false, "completion": "x"})", "f:1");
  EXPECT_EQ(row.kind, RowKind::kUnpaired);
  EXPECT_FALSE(row.label);
  EXPECT_EQ(text_of(row.prompt), "");
  EXPECT_EQ(text_of(row.chosen.content), "x");
  EXPECT_FALSE(row.chosen.finished);
  EXPECT_EQ(row.weight, 1.0);
}

// What `generate` writes for a chat, and how many data sets have it.
TEST(ParseRow, TakesAStringBehindMessagesForTheAnswer) {
  const std::string prompt = R"("prompt": [{"role": "user", "content": "u"}])";
  const auto answer = [](const char* text) {
    return Json::array({Json{{"role", "assistant"}, {"content", text}}});
  };
  const PreferenceRow labelled = parse_text("{" + prompt + R"(, "completion": "a", "label": true})", "f:1");
  EXPECT_EQ(messages_of(labelled.chosen.content), answer("a"));
  const PreferenceRow pair = parse_text(
      "{" + prompt + R"(, "chosen": "a", "rejected": [{"role": "assistant", "content": "b"}]})", "f:1");
  EXPECT_EQ(messages_of(pair.chosen.content), answer("a"));
  EXPECT_EQ(messages_of(pair.rejected.content), answer("b"));
}

TEST(ParseRow, CollectsFieldsThatItDoesNotKnow) {
  const PreferenceRow row = parse_text(
      R"({"id": null, "prompt": "a", "completion": "b", "label": true, "meta": {"x": [1]}})", "f:1");
  EXPECT_THAT(row.ignored_fields, ElementsAre("id", "meta"));
}

TEST(ParseRow, TakesTheCommonBeginningAsPrompt) {
  const PreferenceRow row = parse_text(R"({
    "chosen": [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}, {"role": "assistant", "content": "a"}],
    "rejected": [{"content": "s", "role": "system"}, {"role": "user", "content": "u"}, {"role": "assistant", "content": "b"}]
  })",
                                       "f:1");
  EXPECT_EQ(messages_of(row.prompt).dump(),
            R"([{"role":"system","content":"s"},{"role":"user","content":"u"}])");
  EXPECT_EQ(messages_of(row.chosen.content).dump(), R"([{"role":"assistant","content":"a"}])");
  EXPECT_EQ(messages_of(row.rejected.content).dump(), R"([{"role":"assistant","content":"b"}])");
}

TEST(ParseRow, LeavesAMessageOnEachSideOfEqualLists) {
  const PreferenceRow row = parse_text(R"({
    "chosen": [{"role": "user", "content": "u"}, {"role": "assistant", "content": "a"}],
    "rejected": [{"role": "user", "content": "u"}, {"role": "assistant", "content": "a"}]})",
                                       "f:1");
  EXPECT_EQ(messages_of(row.prompt).size(), 1u);
  EXPECT_EQ(messages_of(row.chosen.content), messages_of(row.rejected.content));
}

TEST(ParseRow, AcceptsWhatTemplatesUse) {
  const PreferenceRow row = parse_text(R"({
    "prompt": [{"role": "user", "content": [{"type": "text", "text": "hi"}, {"type": "text", "text": " x"}], "name": "n"},
               {"role": "assistant", "content": null, "tool_calls": [{"function": {"name": "f", "arguments": {}}}]},
               {"role": "tool", "content": "", "tool_call_id": "1"}],
    "completion": [{"role": "assistant", "tool_calls": [{"function": {"name": "g", "arguments": {}}}]}], "label": true
  })",
                                       "f:1");
  EXPECT_EQ(messages_of(row.prompt).size(), 3u);
  EXPECT_EQ(messages_of(row.chosen.content).size(), 1u);
}

TEST(ParseRow, TakesTheCommonTextAsPrompt) {
  struct Example {
    const char* row;
    const char* prompt;
    const char* chosen;
    const char* rejected;
  };
  // The first is of TRL's documentation.
  for (const Example& example : {
           Example{R"({"chosen": "The sky is blue.", "rejected": "The sky is green."})", "The sky is",
                   " blue.", " green."},
           Example{R"({"chosen": "Sum:  4", "rejected": "Sum:  5"})", "Sum: ", " 4", " 5"},
           Example{R"({"chosen": "It is black", "rejected": "It is blue"})", "It is bl", "ack", "ue"},
           Example{R"({"chosen": "caf\u00e9", "rejected": "caf\u00e8"})", "caf", "\xC3\xA9", "\xC3\xA8"},
       }) {
    const PreferenceRow row = parse_text(example.row, "f:1");
    EXPECT_EQ(row.prompt_split, PromptSplit::kCommonText);
    EXPECT_EQ(text_of(row.prompt), example.prompt);
    EXPECT_EQ(text_of(row.chosen.content), example.chosen);
    EXPECT_EQ(text_of(row.rejected.content), example.rejected);
  }
}

TEST(ParseRow, CutsAPromptThatEveryAnswerRepeats) {
  const PreferenceRow dialogue = parse_text(
      R"({"prompt": "\n\nHuman: q\n\nAssistant:", "chosen": "\n\nHuman: q\n\nAssistant: a",
          "rejected": "\n\nHuman: q\n\nAssistant: b"})",
      "f:1");
  EXPECT_EQ(dialogue.prompt_split, PromptSplit::kRepetitionCut);
  EXPECT_EQ(text_of(dialogue.prompt), "\n\nHuman: q\n\nAssistant:");
  EXPECT_EQ(text_of(dialogue.chosen.content), " a");
  EXPECT_EQ(text_of(dialogue.rejected.content), " b");

  const PreferenceRow labelled =
      parse_text(R"({"prompt": "Why is the sky blue, and not green? ", "label": true,
          "completion": "Why is the sky blue, and not green? Rayleigh."})",
                 "f:1");
  EXPECT_EQ(labelled.prompt_split, PromptSplit::kRepetitionCut);
  EXPECT_EQ(text_of(labelled.chosen.content), "Rayleigh.");

  const PreferenceRow messages = parse_text(R"({"prompt": [{"role": "user", "content": "q"}],
      "chosen": [{"content": "q", "role": "user"}, {"role": "assistant", "content": "a"}],
      "rejected": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "b"}]})",
                                            "f:1");
  EXPECT_EQ(messages.prompt_split, PromptSplit::kRepetitionCut);
  EXPECT_EQ(messages_of(messages.prompt).dump(), R"([{"role":"user","content":"q"}])");
  EXPECT_EQ(messages_of(messages.chosen.content).dump(), R"([{"role":"assistant","content":"a"}])");
  EXPECT_EQ(messages_of(messages.rejected.content).dump(), R"([{"role":"assistant","content":"b"}])");
}

TEST(ParseRow, LeavesAnswersThatOnlyLookLikeTheirPrompt) {
  const PreferenceRow greeting = parse_text(
      R"({"prompt": "Good morning", "chosen": "Good morning! Tea?", "rejected": "Good morning."})", "f:1");
  EXPECT_EQ(greeting.prompt_split, PromptSplit::kRepetitionKept);
  EXPECT_EQ(text_of(greeting.chosen.content), "Good morning! Tea?");

  for (const char* row : {
           // one of both
           R"({"prompt": "Say it again: a\n", "chosen": "Say it again: a\n a", "rejected": "Say it"})",
           R"({"prompt": "", "chosen": "a", "rejected": "b"})",
           // an echo
           R"({"prompt": "Say it again: a\n", "completion": "Say it again: a\n", "label": true})",
       }) {
    EXPECT_EQ(parse_text(row, "f:1").prompt_split, PromptSplit::kAsWritten) << row;
  }
}

struct BadRow {
  std::string line;
  std::string problem;  // what follows "[data] bad.jsonl:7: "
};

#define PAIR R"("chosen": "a", "rejected": "b")"
#define USER R"({"role": "user", "content": "u"})"
#define ASSISTANT R"({"role": "assistant", "content": "a"})"

const std::vector<BadRow> kBadRows = {
    // Not a JSON object.
    {R"({"prompt": "a", "chosen": "b")", "not valid JSON at byte 30"},
    {R"({"prompt": "a", 'chosen': "b"})", "not valid JSON at byte 17"},
    {R"({"prompt": "a",})", "not valid JSON at byte 16"},
    {R"({"prompt": "a"} {"prompt": "b"})", "not valid JSON at byte 17"},
    {"{\"prompt\": \"a\x01\"}", "not valid JSON at byte 14"},
    {R"({"prompt": "\ud800", )" PAIR "}", "not valid JSON at byte 19"},
    {R"({"prompt": "a", "weight": 1e400, )" PAIR "}", "the number 1e400 is too large"},
    {R"({"prompt": "a", "weight": NaN, )" PAIR "}", "not valid JSON at byte 27"},
    {"{\"prompt\": \"\xC3\x28\"}", "not valid UTF-8 at byte 12"},
    {"{\"prompt\": \"\xED\xA0\x80\"}", "not valid UTF-8 at byte 12"},
    {R"({"prompt": "a", "prompt": "b"})", "the key \"prompt\" occurs twice in one object"},
    {std::string(100000, '['), "nested deeper than 64 levels"},
    {R"({"a": )" + std::string(70, '[') + std::string(70, ']') + "}", "nested deeper than 64 levels"},
    {"[]", "a row is a JSON object; got an empty list, expected one object a row"},
    {R"(["a"])", "a row is a JSON object; got a list"},
    {"3", "a row is a JSON object; got the number 3"},
    {"null", "a row is a JSON object; got null"},
    {R"("text")", "a row is a JSON object; got the string \"text\""},
    // Fields missing or of both kinds.
    {"{}", "neither a paired nor an unpaired row; expected prompt, chosen and rejected"},
    {R"({"prompt": "a", "response": "b"})", "neither a paired nor an unpaired row"},
    {R"({"prompt": "a", "rejected": "b"})",
     "\"chosen\" is missing; a paired row needs prompt, chosen and rejected"},
    {R"({"prompt": "a", "chosen": "b"})", "\"rejected\" is missing; a paired row needs"},
    {"{" PAIR "}", "\"prompt\" is missing, and \"chosen\" and \"rejected\" have no common beginning"},
    {R"({"chosen": " a", "rejected": " b"})",
     "\"prompt\" is missing, and \"chosen\" and \"rejected\" have no common beginning"},
    {R"({"chosen": "\u00e9", "rejected": "\u00e8"})",
     "\"prompt\" is missing, and \"chosen\" and \"rejected\" have no common beginning"},
    {R"({"chosen": "a b", "rejected": "a"})",
     "\"prompt\" is missing, and \"chosen\" and \"rejected\" part nowhere"},
    {R"({"chosen": "a b", "rejected": "a b"})",
     "\"prompt\" is missing, and \"chosen\" and \"rejected\" part nowhere"},
    {R"({"query": "q", "chosen": "Sure. a", "rejected": "Sure. b"})",
     "\"prompt\" is missing, and \"query\" may be it; name its field in data.columns, as in {question: "
     "query} "
     "for a chat, or {prompt: query} for text as it is"},
    {R"({"completion": "a", "label": true})", "\"prompt\" is missing; an unpaired row needs"},
    {R"({"prompt": "a", "label": true})", "\"completion\" is missing; an unpaired row needs"},
    {R"({"prompt": "a", "completion": "b"})", "\"label\" is missing; an unpaired row needs"},
    {R"({"prompt": "a", "label": true, )" PAIR "}",
     "\"chosen\" belongs to paired rows and \"label\" to unpaired ones; a row is of one kind"},
    {R"({"prompt": "a", "completion": "b", "label": true, "chosen_finished": true})",
     "\"chosen_finished\" belongs to paired rows and \"completion\""},
    // Values of another type.
    {R"({"prompt": null, )" PAIR "}", "\"prompt\" is missing, and"},
    {R"({"prompt": 3, )" PAIR "}", "\"prompt\" is no text; got the number 3"},
    {R"({"prompt": "a", "chosen": {"role": "assistant"}, "rejected": "b"})",
     "\"chosen\" message 1 has no \"content\"; only a message with tool calls may go without"},
    {R"({"prompt": [], "chosen": [)" ASSISTANT R"(], "rejected": [)" ASSISTANT "]}",
     "\"prompt\" is no text; got an empty list"},
    {R"({"prompt": "a", "completion": true, "label": true})", "\"completion\" is no text; got true"},
    {R"({"prompt": "a", "completion": "b", "label": 2})",
     "\"label\" is not a boolean; got the number 2, expected true or false"},
    {R"({"prompt": "a", "completion": "b", "label": "yes"})",
     "\"label\" is not a boolean; got the string \"yes\""},
    {R"({"prompt": "a", "completion": "b", "label": null})", "\"label\" is missing"},
    {R"({"prompt": "a", "chosen_finished": -1, )" PAIR "}",
     "\"chosen_finished\" is not a boolean; got the number -1"},
    {R"({"prompt": "a", "rejected_finished": "no", )" PAIR "}", "\"rejected_finished\" is not a boolean"},
    {R"({"prompt": "a", "weight": 0, )" PAIR "}",
     "\"weight\" is no weight; got the number 0, expected a number from"},
    {R"({"prompt": "a", "weight": -1.5, )" PAIR "}", "\"weight\" is no weight; got the number -1.5"},
    {R"({"prompt": "a", "weight": 1e300, )" PAIR "}", "\"weight\" is no weight; got the number 1e+300"},
    {R"({"prompt": "a", "weight": "2", )" PAIR "}", "\"weight\" is no weight; got the string \"2\""},
    {R"({"prompt": "a", "weight": true, )" PAIR "}", "\"weight\" is no weight; got true"},
    // Completions.
    {R"({"prompt": "a", "chosen": "", "rejected": "b"})", "\"chosen\" is empty"},
    {R"({"prompt": "a", "chosen": "b", "rejected": ""})", "\"rejected\" is empty"},
    {R"({"prompt": "a", "completion": "", "label": true})", "\"completion\" is empty"},
    {R"({"prompt": [)" USER R"(], "completion": [{"role": "assistant", "content": ""}], "label": true})",
     "\"completion\" is empty"},
    {R"({"prompt": [)" USER
     R"(], "completion": [{"role": "assistant", "content": [{"type": "text", "text": ""}]}], "label": true})",
     "\"completion\" is empty"},
    {R"({"prompt": [)" USER R"(], "completion": [)" USER R"(], "label": true})",
     "\"completion\" begins with a message of the user, expected one of the assistant"},
    {R"({"prompt": [)" USER R"(], "completion": [{"role": "user", "content": "v"}, )" ASSISTANT
     R"(], "label": true})",
     "\"completion\" begins with a message of the user, expected one of the assistant"},
    {R"({"prompt": [)" USER R"(], "completion": [)" ASSISTANT ", " USER R"(], "label": true})",
     "\"completion\" ends with a message of the user, expected one of the assistant"},
    {R"({"chosen": [)" ASSISTANT R"(], "rejected": [)" ASSISTANT "]}",
     "\"prompt\" is missing, and \"chosen\" and \"rejected\" have no common beginning"},
    {R"({"chosen": [{"role": "user", "content": "v"}, )" ASSISTANT R"(], "rejected": [)" USER ", " ASSISTANT
     "]}",
     "\"prompt\" is missing, and \"chosen\" and \"rejected\" have no common beginning"},
    {R"({"prompt": "a\nb", "chosen": "a\nb c", "rejected": "a\nb"})",
     "\"rejected\" is empty behind the prompt that it repeats"},
    {R"({"prompt": [)" USER R"(], "chosen": [)" USER ", " ASSISTANT R"(], "rejected": [)" USER "]}",
     "\"rejected\" is empty behind the prompt that it repeats"},
    {R"({"chosen": [{"role": "system", "content": "s"}, )" USER ", " ASSISTANT
     R"(], "rejected": [{"role": "system", "content": "s"}, {"role": "user", "content": "v"}, )" ASSISTANT
     "]}",
     "\"prompt\" is missing, and \"chosen\" and \"rejected\" have no common beginning behind which both"},
    {R"({"completion": [)" ASSISTANT ", " USER ", " ASSISTANT R"(], "label": true})",
     "\"prompt\" is missing, and \"completion\" is no conversation that has it"},
    {R"({"completion": [)" USER ", " ASSISTANT ", " USER R"(], "label": true})",
     "\"completion\" does not end with a message of the assistant"},
    {R"({"completion": [)" USER ", " ASSISTANT "]}", "\"label\" is missing"},
    // Strings and messages mixed.
    {R"({"prompt": [)" USER R"(], "chosen": "a", "rejected": ""})", "\"rejected\" is empty"},
    {R"({"prompt": "a", "chosen": "b", "rejected": [)" ASSISTANT "]}",
     "\"chosen\" is a string but \"rejected\" a list of messages"},
    {R"({"prompt": [)" USER R"(], "completion": "", "label": true})", "\"completion\" is empty"},
    // Messages.
    {R"({"prompt": ["hi"], "completion": [)" ASSISTANT R"(], "label": true})",
     "\"prompt\" message 1 is no message; got the string \"hi\", expected an object"},
    {R"({"prompt": [)" USER R"(, {"content": "a"}], "completion": [)" ASSISTANT R"(], "label": true})",
     "\"prompt\" message 2 has no \"role\""},
    {R"({"prompt": [{"from": "human", "text": "a"}], "completion": [)" ASSISTANT R"(], "label": true})",
     "\"prompt\" message 1 has no \"role\""},
    {R"({"prompt": [{"role": 1, "content": "a"}], "completion": [)" ASSISTANT R"(], "label": true})",
     "\"prompt\" message 1: \"role\" is no name; got the number 1"},
    {R"({"prompt": [{"role": "", "content": "a"}], "completion": [)" ASSISTANT R"(], "label": true})",
     "\"prompt\" message 1: \"role\" is no name; got the string \"\""},
    {R"({"prompt": [{"role": "user"}], "completion": [)" ASSISTANT R"(], "label": true})",
     "\"prompt\" message 1 has no \"content\"; only a message with tool calls may go without"},
    {R"({"prompt": [{"role": "user", "content": null, "tool_calls": []}], "completion": [)" ASSISTANT
     R"(], "label": true})",
     "\"prompt\" message 1: \"content\" is null; only a message with tool calls may go without"},
    {R"({"prompt": [{"role": "user", "content": 5}], "completion": [)" ASSISTANT R"(], "label": true})",
     "\"prompt\" message 1: \"content\" is no text; got the number 5, expected a string or a list of parts"},
    {R"({"prompt": [{"role": "user", "content": {"type": "text"}}], "completion": [)" ASSISTANT
     R"(], "label": true})",
     "\"prompt\" message 1: \"content\" is no text; got an object"},
    {R"({"prompt": [{"role": "user", "content": ["a"]}], "completion": [)" ASSISTANT R"(], "label": true})",
     "\"prompt\" message 1: \"content\" has a part that is none; got the string \"a\""},
    {R"({"prompt": [{"role": "user", "content": [{"type": "text"}]}], "completion": [)" ASSISTANT
     R"(], "label": true})",
     "\"prompt\" message 1: \"content\" has a text part without a string \"text\""},
};

TEST(ParseRow, RefusesBadRowsWithTheirPlaceAndTheProblem) {
  ASSERT_GE(kBadRows.size(), 40u);
  for (const BadRow& bad : kBadRows) {
    SCOPED_TRACE(bad.line.substr(0, 200));
    try {
      parse_text(bad.line, "bad.jsonl:7");
      ADD_FAILURE() << "accepted";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kInput);
      EXPECT_THAT(std::string(error.what()), testing::StartsWith("[data] bad.jsonl:7: " + bad.problem));
      EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos);
    }
  }
}

}  // namespace
}  // namespace ddro::data
