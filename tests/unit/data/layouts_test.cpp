// Rows as public data sets write them, and what they are read as.
#include "data/layouts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "ddro/base/error.h"
#include "ddro/data/known_inputs.h"
#include "ddro/data/preference_row.h"
#include "support/expect_error.h"

namespace ddro::data {
namespace {

using test::message_of;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::string written(const Content& content) {
  const auto* text = std::get_if<std::string>(&content);
  return text != nullptr ? *text : std::get<Json>(content).dump();
}

struct Example {
  const char* name;
  std::string row;
  Layout layout;
  // As JSON, or as the string itself.
  std::string prompt;
  std::string chosen;    // of labels: the completion
  std::string rejected;  // of labels: "true" or "false"
};

#define USER(text) R"({"role":"user","content":")" text R"("})"
#define ASSISTANT(text) R"({"role":"assistant","content":")" text R"("})"
#define SYSTEM(text) R"({"role":"system","content":")" text R"("})"
#define HUMAN(text) R"({"from": "human", "value": ")" text R"("})"
#define GPT(text) R"({"from": "gpt", "value": ")" text R"("})"

const std::vector<Example> kExamples = {
    {"Pairs", R"({"prompt": "p", "chosen": "c", "rejected": "r"})", Layout::kPairs, "p", "c", "r"},
    {"NullColumns", R"({"prompt": "p", "completion": null, "chosen": "c", "label": null, "rejected": "r"})",
     Layout::kPairs, "p", "c", "r"},
    {"ImplicitPrompt",
     R"({"chosen": [)" USER("q") "," ASSISTANT("a") R"(], "rejected": [)" USER("q") "," ASSISTANT("b") "]}",
     Layout::kPairs, "[" USER("q") "]", "[" ASSISTANT("a") "]", "[" ASSISTANT("b") "]"},
    {"AnswersAsOneObject",
     R"({"prompt": [)" USER("q") R"(], "chosen": )" ASSISTANT("a") R"(, "rejected": )" ASSISTANT("b") "}",
     Layout::kPairs, "[" USER("q") "]", "[" ASSISTANT("a") "]", "[" ASSISTANT("b") "]"},
    {"TurnsThatPartEarly",
     R"({"chosen": [)" USER("q") "," ASSISTANT("a") "," USER("r") "," ASSISTANT(
         "c") R"(], "rejected": [)" USER("q") "," ASSISTANT("b") "]}",
     Layout::kPairs, "[" USER("q") "]", "[" ASSISTANT("a") "," USER("r") "," ASSISTANT("c") "]",
     "[" ASSISTANT("b") "]"},
    {"TurnsThatPartAtAUser",
     R"({"chosen": [)" USER("q") "," ASSISTANT("x") "," USER("r") "," ASSISTANT(
         "a") R"(], "rejected": [)" USER("q") "," ASSISTANT("x") "," USER("s") "," ASSISTANT("b") "]}",
     Layout::kPairs, "[" USER("q") "]", "[" ASSISTANT("x") "," USER("r") "," ASSISTANT("a") "]",
     "[" ASSISTANT("x") "," USER("s") "," ASSISTANT("b") "]"},
    {"TextsThatBeginAlike", R"({"chosen": "The sky is blue.", "rejected": "The sky is green."})",
     Layout::kPairs, "The sky is", " blue.", " green."},
    {"ConversationAsCompletion",
     R"({"completion": [)" USER("q") "," ASSISTANT("x") "," USER("r") "," ASSISTANT("a") R"(], "label": 0})",
     Layout::kLabels, "[" USER("q") "," ASSISTANT("x") "," USER("r") "]", "[" ASSISTANT("a") "]", "false"},
    {"Labels", R"({"prompt": "p", "completion": "c", "label": 0})", Layout::kLabels, "p", "c", "false"},
    {"LabelAsFloat", R"({"prompt": "p", "completion": "c", "label": 1.0})", Layout::kLabels, "p", "c",
     "true"},
    {"LabelAsText", R"({"prompt": "p", "completion": "c", "label": "False"})", Layout::kLabels, "p", "c",
     "false"},
    // HuggingFaceH4/ultrafeedback_binarized
    {"Ultrafeedback",
     R"({"prompt": "q", "prompt_id": "1", "chosen": [)" USER("q") "," ASSISTANT("a") R"(], "rejected": [)" USER(
         "q") "," ASSISTANT("b") R"(], "messages": [)" USER("q") "," ASSISTANT("a") R"(], "score_chosen": 8.0})",
     Layout::kUltrafeedback, "[" USER("q") "]", "[" ASSISTANT("a") "]", "[" ASSISTANT("b") "]"},
    {"QuestionBesideAnswersAlone",
     R"({"prompt": "q", "system": "s", "chosen": [)" ASSISTANT("a") R"(], "rejected": [)" ASSISTANT("b") "]}",
     Layout::kUltrafeedback, "[" SYSTEM("s") "," USER("q") "]", "[" ASSISTANT("a") "]",
     "[" ASSISTANT("b") "]"},
    {"LabelledQuestion", R"({"prompt": "q", "completion": [)" ASSISTANT("a") R"(], "label": true})",
     Layout::kUltrafeedback, "[" USER("q") "]", "[" ASSISTANT("a") "]", "true"},
    // argilla/dpo-mix-7k
    {"Argilla",
     R"({"instruction": "q", "chosen": [)" SYSTEM("s") "," USER("q") "," ASSISTANT(
         "a") R"(], "rejected": [)" SYSTEM("s") "," USER("q") "," ASSISTANT("b") R"(], "chosen_rating": 5})",
     Layout::kUltrafeedback, "[" SYSTEM("s") "," USER("q") "]", "[" ASSISTANT("a") "]",
     "[" ASSISTANT("b") "]"},
    // Anthropic/hh-rlhf
    {"Hh",
     R"({"chosen": "\n\nHuman: q\n\nAssistant: a\n\nHuman: r\n\nAssistant: c", "rejected": "\n\nHuman: q\n\nAssistant: a\n\nHuman: r\n\nAssistant: d"})",
     Layout::kHh, "\n\nHuman: q\n\nAssistant: a\n\nHuman: r\n\nAssistant:", " c", " d"},
    {"HhThatPartsEarly",
     R"({"chosen": "\n\nHuman: q\n\nAssistant: a\n\nHuman: r\n\nAssistant: c", "rejected": "\n\nHuman: q\n\nAssistant: b"})",
     Layout::kHh, "\n\nHuman: q\n\nAssistant:", " a\n\nHuman: r\n\nAssistant: c", " b"},
    // LLaMA-Factory, alpaca
    {"AlpacaPairs", R"({"instruction": "i", "input": "j", "chosen": "a", "rejected": "b"})", Layout::kAlpaca,
     R"([{"role":"user","content":"i\nj"}])", "[" ASSISTANT("a") "]", "[" ASSISTANT("b") "]"},
    {"AlpacaOutputs", R"({"instruction": "i", "input": "", "output": ["a", "b"]})", Layout::kAlpaca,
     "[" USER("i") "]", "[" ASSISTANT("a") "]", "[" ASSISTANT("b") "]"},
    {"AlpacaLabels",
     R"({"instruction": "i", "output": "a", "kto_tag": false, "system": "s", "history": [["x", "y"]]})",
     Layout::kAlpaca, "[" SYSTEM("s") "," USER("x") "," ASSISTANT("y") "," USER("i") "]",
     "[" ASSISTANT("a") "]", "false"},
    // Intel/orca_dpo_pairs, argilla/distilabel-intel-orca-dpo-pairs
    {"QuestionPairs", R"({"system": "s", "question": "q", "chosen": "a", "rejected": "b"})",
     Layout::kQuestion, "[" SYSTEM("s") "," USER("q") "]", "[" ASSISTANT("a") "]", "[" ASSISTANT("b") "]"},
    {"InputPairs", R"({"system": "", "input": "q", "chosen": "a", "rejected": "b", "rating": [9, 8]})",
     Layout::kQuestion, "[" USER("q") "]", "[" ASSISTANT("a") "]", "[" ASSISTANT("b") "]"},
    {"QuestionLabels", R"({"question": "q", "completion": "a", "label": false})", Layout::kQuestion,
     "[" USER("q") "]", "[" ASSISTANT("a") "]", "false"},
    {"PromptBesideQuestion", R"({"prompt": "p", "question": "q", "chosen": "a", "rejected": "b"})",
     Layout::kPairs, "p", "a", "b"},
    // LLaMA-Factory, sharegpt
    {"SharegptPairs",
     R"({"conversations": [{"from": "system", "value": "s"}, )" HUMAN("q") R"(], "chosen": )" GPT(
         "a") R"(, "rejected": )" GPT("b") "}",
     Layout::kSharegpt, "[" SYSTEM("s") "," USER("q") "]", "[" ASSISTANT("a") "]", "[" ASSISTANT("b") "]"},
    {"SharegptLabels",
     R"({"system": "s", "conversations": [)" HUMAN("q") "," GPT("a") R"(], "kto_tag": true})",
     Layout::kSharegpt, "[" SYSTEM("s") "," USER("q") "]", "[" ASSISTANT("a") "]", "true"},
    {"SharegptTools",
     R"({"conversations": [)" HUMAN(
         "q") R"(, {"from": "function_call", "value": "{\"name\": \"f\", \"arguments\": {\"x\": 1}}"},
         {"from": "observation", "value": "3"}], "chosen": )" GPT("a") R"(, "rejected": )" GPT("b") "}",
     Layout::kSharegpt,
     "[" USER(
         "q") R"(,{"role":"assistant","content":"","tool_calls":[{"type":"function","function":{"name":"f","arguments":{"x":1}}}]})"
              R"(,{"role":"tool","content":"3"}])",
     "[" ASSISTANT("a") "]", "[" ASSISTANT("b") "]"},
    {"MessageLabels",
     R"({"messages": [)" USER("q") "," ASSISTANT("x") "," USER("r") "," ASSISTANT("a") R"(], "label": 1})",
     Layout::kMessages, "[" USER("q") "," ASSISTANT("x") "," USER("r") "]", "[" ASSISTANT("a") "]", "true"},
    {"MessagesAndTrajectories",
     R"({"messages": [)" USER("q") R"(], "chosen": [)" ASSISTANT(
         "x") R"(, {"role": "tool", "content": "3"}, )" ASSISTANT("a") R"(], "rejected": [)" ASSISTANT("b") "]}",
     Layout::kMessages, "[" USER("q") "]",
     "[" ASSISTANT("x") R"(,{"role":"tool","content":"3"},)" ASSISTANT("a") "]", "[" ASSISTANT("b") "]"},
    // LLaMA-Factory, version 1
    {"ReasoningAndCalls",
     R"({"messages": [)" USER(
         "q") R"(, {"role": "assistant", "content": [{"type": "reasoning", "value": "t"}, {"type": "tool_call", "value": "{\"name\": \"f\", \"arguments\": {}}"}]},
         {"role": "tool", "content": "3"},
         {"role": "assistant", "content": [{"type": "reasoning", "value": "u"}, {"type": "text", "value": "a"}]}], "label": true})",
     Layout::kMessages,
     "[" USER(
         "q") R"(,{"role":"assistant","content":"","reasoning_content":"t","tool_calls":[{"type":"function","function":{"name":"f","arguments":{}}}]})"
              R"(,{"role":"tool","content":"3"}])",
     R"([{"role":"assistant","content":[{"type":"text","text":"a"}],"reasoning_content":"u"}])", "true"},
    {"ChosenMessages",
     R"({"chosen_messages": [{"role": "user", "content": [{"type": "text", "value": "q"}]}, )" ASSISTANT(
         "a") R"(], "rejected_messages": [{"role": "user", "content": [{"type": "text", "value": "q"}]}, )" ASSISTANT("b") "]}",
     Layout::kMessages, R"([{"role":"user","content":[{"type":"text","text":"q"}]}])", "[" ASSISTANT("a") "]",
     "[" ASSISTANT("b") "]"},
};

class Layouts : public testing::TestWithParam<Example> {};

TEST_P(Layouts, AreRecognisedAndRead) {
  const Example& example = GetParam();
  for (const Layout given : {Layout::kAuto, example.layout}) {
    const PreferenceRow row = parse_row(Json::parse(example.row), "f:1", {given, {}});
    EXPECT_EQ(row.layout, example.layout);
    EXPECT_EQ(written(row.prompt), example.prompt);
    EXPECT_EQ(written(row.chosen.content), example.chosen);
    if (row.kind == RowKind::kPaired) {
      EXPECT_EQ(written(row.rejected.content), example.rejected);
    } else {
      EXPECT_EQ(row.label ? "true" : "false", example.rejected);
    }
  }
}

// By its name `inspect layouts` finds the tests of a layout.
INSTANTIATE_TEST_SUITE_P(Examples, Layouts, testing::ValuesIn(kExamples), [](const auto& each) {
  return enum_name(each.param.layout) + "_" + each.param.name;
});

TEST(KnownLayouts, HaveExamples) {
  const std::vector<KnownInput> known = known_layouts();
  EXPECT_EQ(known.size() + 1, EnumNames<Layout>::kNames.size());  // auto is none
  for (const KnownInput& layout : known) {
    EXPECT_TRUE(std::any_of(kExamples.begin(), kExamples.end(), [&](const Example& example) {
      return enum_name(example.layout) == layout.name;
    })) << layout.name;
  }
}

TEST(Layout, GivesAPromptOfItsRows) {
  for (const Example& example : kExamples) {
    if (example.layout == Layout::kPairs || example.layout == Layout::kLabels) continue;
    EXPECT_EQ(written(parse_prompt(Json::parse(example.row), "f:1").prompt), example.prompt) << example.name;
  }
  EXPECT_EQ(written(parse_prompt(Json::parse(R"({"prompt": "p", "chosen": 3})"), "f:1").prompt), "p");
}

TEST(Layout, TakesWhatHasNoLabelAsPreferredIfTold) {
  for (const char* row :
       {R"({"prompt": "q", "completion": "a"})", R"({"instruction": "q", "input": "", "output": "a"})",
        R"({"conversations": [)" HUMAN("q") "," GPT("a") "]}",
        R"({"messages": [)" USER("q") "," ASSISTANT("a") R"(], "prompt": "q"})",
        R"({"completion": [)" USER("q") "," ASSISTANT("a") R"(], "label": null})"}) {
    SCOPED_TRACE(row);
    EXPECT_THAT(message_of(ErrorKind::kInput, [&] { parse_row(Json::parse(row), "f:1"); }),
                HasSubstr("\"label\" is missing"));
    const PreferenceRow read = parse_row(Json::parse(row), "f:1", {Layout::kAuto, {}, true});
    EXPECT_EQ(read.kind, RowKind::kUnpaired);
    EXPECT_TRUE(read.label);
    EXPECT_FALSE(read.has_label);
    EXPECT_THAT(written(read.chosen.content), HasSubstr("a"));
    EXPECT_THAT(written(read.prompt), HasSubstr("q"));
  }
  const auto read = [](const char* row) {
    return parse_row(Json::parse(row), "f:1", {Layout::kAuto, {}, true});
  };
  EXPECT_FALSE(read(R"({"prompt": "q", "completion": "a", "label": false})").label);
  EXPECT_FALSE(read(R"({"instruction": "q", "output": "a", "kto_tag": false})").label);
  EXPECT_EQ(read(R"({"instruction": "q", "output": ["a", "b"]})").kind, RowKind::kPaired);
  EXPECT_EQ(read(kExamples[11].row.c_str()).kind, RowKind::kPaired);
}

TEST(Layout, LeavesWhatItDoesNotReadAndNamesIt) {
  const PreferenceRow row = parse_row(Json::parse(kExamples[11].row), "f:1");
  EXPECT_STREQ(kExamples[11].name, "Ultrafeedback");
  EXPECT_THAT(row.ignored_fields, ElementsAre("prompt_id", "messages", "score_chosen"));
  EXPECT_EQ(row.weight, 1.0);
}

TEST(Columns, GiveFieldsOurNames) {
  const RowFormat format{
      Layout::kAuto,
      {{"prompt", "question"}, {"weight", "score_chosen"}, {"chosen", "rejected"}, {"rejected", "chosen"}}};
  const PreferenceRow row =
      parse_row(Json::parse(R"({"question": "q", "chosen": "b", "rejected": "a", "score_chosen": 0.5})"),
                "f:1", format);
  EXPECT_EQ(written(row.prompt), "q");
  EXPECT_EQ(written(row.chosen.content), "a");
  EXPECT_EQ(written(row.rejected.content), "b");
  EXPECT_EQ(row.weight, 0.5);
  EXPECT_THAT(row.ignored_fields, IsEmpty());
  EXPECT_THAT(row.found_columns, ElementsAre("chosen", "prompt", "rejected", "weight"));
}

struct Refusal {
  std::string row;
  Layout layout;
  std::string problem;
};

const std::vector<Refusal> kRefusals = {
    {R"({"prompt": "p", "completion": "c", "label": true})", Layout::kPairs,
     "an unpaired row, but data.layout is pairs"},
    {R"({"prompt": "p", "chosen": "c", "rejected": "r"})", Layout::kLabels,
     "a paired row, but data.layout is labels"},
    {R"({"prompt": "p", "chosen": "c", "rejected": "r"})", Layout::kSharegpt,
     "\"conversations\" is missing; data.layout is sharegpt"},
    {R"({"prompt": "p", "chosen": "c", "rejected": "r"})", Layout::kAlpaca,
     "\"instruction\" is missing; data.layout is alpaca"},
    {R"({"prompt": "x", "chosen": [)" USER("q") "," ASSISTANT("a") R"(], "rejected": [)" USER(
         "q") "," ASSISTANT("b") "]}",
     Layout::kAuto, "\"prompt\" is a string that is no user's message of \"chosen\"; leave it out"},
    {R"({"chosen": "\n\nHuman: q\n\nAssistant: a", "rejected": "\n\nHuman: r\n\nAssistant: a"})",
     Layout::kAuto, R"("chosen" and "rejected" have no common beginning up to "\n\nAssistant:")"},
    {R"({"instruction": "i", "output": ["a"]})", Layout::kAuto, "\"output\" is no pair; got a list"},
    {R"({"instruction": "i", "output": ["a", "b", "c"]})", Layout::kAuto,
     "\"output\" is no pair; got a list"},
    {R"({"instruction": 3, "chosen": "a", "rejected": "b"})", Layout::kAuto,
     "\"instruction\" is no text; got the number 3"},
    {R"({"instruction": "i", "history": [["a"]], "chosen": "a", "rejected": "b"})", Layout::kAuto,
     "\"history\" is none; got a list, expected a list of [question, answer]"},
    {R"({"instruction": "i", "output": "a"})", Layout::kAuto, "\"label\" is missing"},
    {R"({"conversations": [)" HUMAN("q") R"(], "label": true})", Layout::kAuto,
     "\"conversations\" does not end with a message of the assistant"},
    {R"({"conversations": [)" GPT("a") R"(], "label": true})", Layout::kAuto,
     "\"conversations\" has no message before the answer"},
    {R"({"conversations": [], "label": true})", Layout::kAuto,
     "\"conversations\" is no text; got an empty list"},
    {R"({"conversations": [)" HUMAN("q") R"(], "chosen": )" GPT("a") "}", Layout::kSharegpt,
     "\"rejected\" is missing"},
    {R"({"conversations": [)" HUMAN("q") "," GPT("a") "]}", Layout::kAuto,
     "\"label\" is missing; an unpaired row needs prompt, completion and label, of which objective.loss_type "
     "sft"},
    {R"({"messages": [)" USER(
         "q") R"(, {"role": "assistant", "content": [{"type": "text", "value": "a"}, {"type": "reasoning", "value": "r"}]}], "label": true})",
     Layout::kAuto, "\"messages\" message 2: \"content\" has parts in an order that no template writes"},
    {R"({"messages": [{"role": "user", "content": [{"type": "reasoning", "value": "r"}]}, )" ASSISTANT(
         "a") R"(], "label": true})",
     Layout::kAuto, "\"messages\" message 1: \"content\" has a part of type \"reasoning\"; only text"},
    {R"({"messages": [)" USER(
         "q") R"(, {"role": "assistant", "content": [{"type": "tool_call", "value": "f x"}]}], "label": true})",
     Layout::kAuto, "\"messages\" message 2: a tool_call is no call; got the string \"f x\""},
    {R"({"conversations": [{"from": "function_call", "value": "f x"}], "chosen": )" GPT(
         "a") R"(, "rejected": )" GPT("b") "}",
     Layout::kAuto, "\"conversations\" message 1: a function_call is no call; got the string \"f x\""},
    {R"({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": "x"}]}, )" ASSISTANT(
         "a") R"(], "label": true})",
     Layout::kAuto,
     "\"messages\" message 1: \"content\" has a part of type \"image_url\"; only text can be trained on"},
};

TEST(Layout, RefusesByTheNameOfWhatIsMissing) {
  for (const Refusal& refusal : kRefusals) {
    SCOPED_TRACE(refusal.row);
    EXPECT_THAT(message_of(ErrorKind::kInput,
                           [&] {
                             parse_row(Json::parse(refusal.row), "f:1", {refusal.layout, {}});
                           }),
                testing::StartsWith("[data] f:1: " + refusal.problem));
  }
}

}  // namespace
}  // namespace ddro::data
