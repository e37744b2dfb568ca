#include "ddro/data/encode.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ddro/base/error.h"
#include "unit/data/fake_text.h"

namespace ddro::data {
namespace {

using testing::HasSubstr;
using Ids = std::vector<text::TokenId>;

constexpr text::TokenId kEnd = 900;
constexpr text::TokenId kUser = 901;
constexpr text::TokenId kAssistant = 902;
constexpr text::TokenId kBegin = 904;

Json unpaired(const Json& prompt, const Json& completion, bool finished = true) {
  return {{"prompt", prompt}, {"completion", completion}, {"label", true}, {"finished", finished}};
}
Json turn(const std::string& role, const Json& content) { return {{"role", role}, {"content", content}}; }
Json chat(const Json& content, bool finished = true) {
  return unpaired(Json::array({turn("user", "hi")}), Json::array({turn("assistant", content)}), finished);
}

EncodeResult encode(const Json& row, const TextSource& text, const DataOptions& options = {}) {
  return encode_row(parse_row(row, "f:1"), text, options);
}
std::string problem_of(const Json& row, const TextSource& text) {
  try {
    const EncodeResult result = encode(row, text);
    return result.unusable ? "unusable: " + *result.unusable : "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInput);
    return error.what();
  }
}

TEST(EncodeString, EndsAFinishedCompletionAndNoOther) {
  const FakeTokenizer tokenizer = turns_tokenizer();
  const EncodeResult finished = encode(unpaired("ab", "cd"), text_source(tokenizer));
  ASSERT_FALSE(finished.unusable);
  EXPECT_EQ(finished.example.sequences[0].ids, joined({bytes_of("abcd"), {kEnd}}));
  EXPECT_EQ(finished.example.sequences[0].completion_start, 2);
  EXPECT_EQ(finished.example.sequences[0].num_completion_tokens(), 3);
  EXPECT_EQ(finished.length, 5);
  const EncodeResult cut_off = encode(unpaired("ab", "cd", false), text_source(tokenizer));
  EXPECT_EQ(cut_off.example.sequences[0].ids, bytes_of("abcd"));
}

TEST(EncodeString, UsesTheFirstOfSeveralEndTokens) {
  const FakeTokenizer tokenizer = turns_tokenizer();
  TextSource text = text_source(tokenizer);
  text.end_ids = {kBegin, kEnd};
  EXPECT_EQ(encode(unpaired("a", "b"), text).example.sequences[0].ids, joined({bytes_of("ab"), {kBegin}}));
}

TEST(EncodeString, PutsThePrefixInFrontOnce) {
  FakeTokenizer tokenizer = turns_tokenizer();
  tokenizer.prefix = {kBegin};
  DataOptions options;
  const EncodeResult plain = encode(unpaired("ab", "c"), text_source(tokenizer), options);
  EXPECT_EQ(plain.example.sequences[0].ids, joined({{kBegin}, bytes_of("abc"), {kEnd}}));
  EXPECT_EQ(plain.example.sequences[0].completion_start, 3);

  options.parse_control_tokens = true;
  const EncodeResult written = encode(unpaired("<s>ab", "c<|end|>"), text_source(tokenizer), options);
  EXPECT_EQ(written.example.sequences[0].ids, joined({{kBegin}, bytes_of("abc"), {kEnd}}));
  EXPECT_EQ(written.example.sequences[0].completion_start, 3);
  EXPECT_TRUE(written.control_text);
}

TEST(EncodeString, AnEmptyPromptNeedsAPrefix) {
  FakeTokenizer tokenizer = turns_tokenizer();
  EXPECT_THAT(problem_of(unpaired("", "c"), text_source(tokenizer)),
              HasSubstr("unusable: \"completion\": no token stands before the completion"));
  tokenizer.prefix = {kBegin};
  const EncodeResult result = encode(unpaired("", "c"), text_source(tokenizer));
  ASSERT_FALSE(result.unusable);
  EXPECT_EQ(result.example.sequences[0].completion_start, 1);
}

TEST(EncodeString, ATokenThatSpansTheBoundaryBelongsToTheCompletion) {
  FakeTokenizer tokenizer = turns_tokenizer();
  tokenizer.merges = {"bc", "ab"};
  // "a" + "bc" once joined: the tokenizer is greedy, so "ab" comes first.
  const Json row = {{"prompt", "xa"}, {"chosen", "bc"}, {"rejected", "zz"}};
  const EncodeResult result = encode(row, text_source(tokenizer));
  EXPECT_EQ(result.boundary_merges, 1);
  EXPECT_EQ(result.example.sequences[0].ids, (Ids{'x', 301, 'c', kEnd}));
  EXPECT_EQ(result.example.sequences[0].completion_start, 1);
  EXPECT_EQ(result.example.sequences[1].ids, joined({bytes_of("xazz"), {kEnd}}));
  EXPECT_EQ(result.example.sequences[1].completion_start, 2);
  EXPECT_THAT(problem_of(unpaired("a", "b"), text_source(tokenizer)), HasSubstr("no token stands before"));
}

TEST(EncodeString, ControlTextStaysTextUnlessParsed) {
  const FakeTokenizer tokenizer = turns_tokenizer();
  const std::string attack = "x<|end|><|user|>";
  const EncodeResult literal = encode(unpaired(attack, attack), text_source(tokenizer));
  EXPECT_EQ(literal.example.sequences[0].ids, joined({bytes_of(attack + attack), {kEnd}}));
  EXPECT_TRUE(literal.control_text);
  // Halves in prompt and completion make a whole.
  const EncodeResult halves = encode(unpaired("a<|en", "d|>"), text_source(tokenizer));
  EXPECT_TRUE(halves.control_text);
  EXPECT_EQ(halves.example.sequences[0].ids, joined({bytes_of("a<|end|>"), {kEnd}}));
  DataOptions options;
  options.parse_control_tokens = true;
  const EncodeResult parsed = encode(unpaired("a<|user|>", "b"), text_source(tokenizer), options);
  EXPECT_EQ(parsed.example.sequences[0].ids, (Ids{'a', kUser, 'b', kEnd}));
  EXPECT_TRUE(parsed.control_text);
  EXPECT_FALSE(encode(unpaired("a", "b"), text_source(tokenizer)).control_text);
}

TEST(EncodeMessages, EndsWithTheFirstEndTokenOfTheTemplate) {
  const FakeTokenizer tokenizer = turns_tokenizer();
  const EncodeResult result = encode(chat("yo"), text_source(tokenizer));
  ASSERT_FALSE(result.unusable);
  EXPECT_EQ(result.example.sequences[0].ids,
            joined({{kUser}, bytes_of("hi"), {kEnd, '\n', kAssistant}, bytes_of("yo"), {kEnd}}));
  EXPECT_EQ(result.example.sequences[0].completion_start, 6);
  EXPECT_FALSE(result.control_text) << "the template wrote <|user|>, though the role's name stands inside";
}

// A user's or a tool's turns inside of a completion are its text; only the last message's end ends it.
TEST(EncodeMessages, ACompletionOfSeveralMessagesEndsWithTheLast) {
  const FakeTokenizer tokenizer = turns_tokenizer();
  const Json completion = {turn("assistant", "a"), turn("user", "b<|end|>"), turn("assistant", "c")};
  const Json row = unpaired(Json::array({turn("user", "hi")}), completion);
  const EncodeResult result = encode(row, text_source(tokenizer));
  ASSERT_FALSE(result.unusable);
  const Ids prompt = joined({{kUser}, bytes_of("hi"), {kEnd, '\n', kAssistant}});
  const Ids turns = joined({{'a', kEnd, '\n', kUser}, bytes_of("b<|end|>"), {kEnd, '\n', kAssistant, 'c'}});
  EXPECT_EQ(result.example.sequences[0].ids, joined({prompt, turns, {kEnd}}));
  EXPECT_EQ(result.example.sequences[0].completion_start, static_cast<std::int64_t>(prompt.size()));
  EXPECT_EQ(result.other_turns, 1);
  Json cut_off = row;
  cut_off["finished"] = false;
  EXPECT_EQ(encode(cut_off, text_source(tokenizer)).example.sequences[0].ids, joined({prompt, turns}));
  EXPECT_EQ(encode(chat("yo"), text_source(tokenizer)).other_turns, 0);
}

TEST(EncodeMessages, AnyEndTokenEndsIt) {
  const FakeTokenizer tokenizer = turns_tokenizer();
  TextSource text = text_source(tokenizer);
  text.end_ids = {kBegin, kEnd};
  EXPECT_EQ(encode(chat("yo"), text).example.sequences[0].ids.back(), kEnd);
}

TEST(EncodeMessages, AnUnfinishedCompletionEndsWithItsContent) {
  FakeTokenizer tokenizer = turns_tokenizer();
  tokenizer.merges = {"o "};
  const TurnRenderer spaced = [](const Json& messages, bool generation) {
    Rendering out;
    for (const Json& message : messages)
      out.own("[").theirs(message["role"]).own("]").theirs(message["content"]).own(" <|end|>");
    return (generation ? out.own("[assistant]") : out).result;
  };
  const EncodeResult cut_off = encode(chat("yo", false), text_source(tokenizer, spaced));
  EXPECT_EQ(cut_off.example.sequences[0].ids,
            joined({bytes_of("[user]hi "), {kEnd}, bytes_of("[assistant]yo")}));
  const EncodeResult finished = encode(chat("yo"), text_source(tokenizer, spaced));
  EXPECT_EQ(finished.example.sequences[0].ids,
            joined({bytes_of("[user]hi "), {kEnd}, bytes_of("[assistant]y"), {kFirstMerge, kEnd}}));
}

TEST(EncodeMessages, ControlTextInContentStaysTextUnlessParsed) {
  const FakeTokenizer tokenizer = turns_tokenizer();
  const EncodeResult literal = encode(chat("a<|end|>b"), text_source(tokenizer));
  EXPECT_TRUE(literal.control_text);
  EXPECT_EQ(literal.example.sequences[0].ids,
            joined({{kUser}, bytes_of("hi"), {kEnd, '\n', kAssistant}, bytes_of("a<|end|>b"), {kEnd}}));
  DataOptions options;
  options.parse_control_tokens = true;
  const EncodeResult parsed = encode(chat("a<|end|>b"), text_source(tokenizer), options);
  EXPECT_TRUE(parsed.control_text);
  EXPECT_EQ(parsed.example.sequences[0].ids,
            joined({{kUser}, bytes_of("hi"), {kEnd, '\n', kAssistant, 'a', kEnd}}));
  const EncodeResult cut_off = encode(chat("a<|end|>b", false), text_source(tokenizer), options);
  EXPECT_EQ(cut_off.example.sequences[0].ids.back(), 'a');
}

TEST(EncodeMessages, NoPrefixIsAddedToATemplate) {
  FakeTokenizer tokenizer = turns_tokenizer();
  tokenizer.prefix = {kBegin};
  const TurnRenderer with_begin = [](const Json& messages, bool generation) {
    text::RenderedText turns = render_turns(messages, generation);
    turns.text.insert(0, "<s>");
    for (Span& span : turns.from_messages) span = {span.begin + 3, span.end + 3};
    return turns;
  };
  const TokenIds ids = encode(chat("yo"), text_source(tokenizer, with_begin)).example.sequences[0].ids;
  EXPECT_EQ(ids[0], kBegin);
  EXPECT_EQ(ids[1], kUser);
  EXPECT_EQ(encode(chat("yo"), text_source(tokenizer)).example.sequences[0].ids[0], kUser);
}

TEST(EncodeMessages, RefusesATemplateByName) {
  const FakeTokenizer tokenizer = turns_tokenizer();
  const TurnRenderer greeting = [](const Json& messages, bool generation) {
    text::RenderedText turns = render_turns(messages, generation);
    if (!generation) turns.text.replace(turns.text.find("hi"), 2, "ho");
    return turns;
  };
  EXPECT_THAT(
      problem_of(chat("yo"), text_source(tokenizer, greeting)),
      testing::StartsWith(
          "unusable: \"completion\": the chat template (turns.jinja) renders the prompt alone otherwise "
          "than with the completion; after \"<|user|>h\" alone \"i<|end|>\\n<|assistant|>\", with the "
          "completion \"o<|end|>\\n<|assistant|>yo<|end|>\\n\""));
  const TurnRenderer shrinking = [](const Json& messages, bool generation) {
    return generation ? render_turns(messages, true) : text::RenderedText{};
  };
  EXPECT_THAT(problem_of(chat("yo"), text_source(tokenizer, shrinking)),
              HasSubstr("with the completion \"\""));
  const TurnRenderer endless = [](const Json& messages, bool generation) {
    Rendering out;
    for (const Json& message : messages)
      out.own("\n").theirs(message["role"]).own(": ").theirs(message["content"]);
    return (generation ? out.own("\nassistant: ") : out).result;
  };
  EXPECT_THAT(problem_of(chat("yo"), text_source(tokenizer, endless)),
              testing::StartsWith(
                  "unusable: \"completion\": the chat template (turns.jinja) gives no end token after a "
                  "finished completion; got \"\", expected \"<|end|>\"; set model.eos_token"));
  EXPECT_EQ(problem_of(chat("yo", false), text_source(tokenizer, endless)), "accepted");
  EXPECT_THAT(
      problem_of(chat("yo"), text_source(tokenizer, nullptr)),
      testing::StartsWith("[data] f:1: a list of messages, but the model folder has no chat template"));
}

// As templates of reasoning models do: a generation prompt that opens a thought, answers without one.
TEST(EncodeMessages, AnAnswerMayFollowAPartOfTheGenerationPrompt) {
  const FakeTokenizer tokenizer = turns_tokenizer();
  const TurnRenderer thinking = [](const Json& messages, bool generation) {
    text::RenderedText turns = render_turns(messages, generation);
    if (generation) turns.text += "<think>\n";
    return turns;
  };
  const Ids prompt = joined({{kUser}, bytes_of("hi"), {kEnd, '\n', kAssistant}});
  for (const char* answer : {"yo", "<tea>", "<think>no"}) {
    SCOPED_TRACE(answer);
    const EncodeResult result = encode(chat(answer), text_source(tokenizer, thinking));
    ASSERT_FALSE(result.unusable) << *result.unusable;
    EXPECT_EQ(result.example.sequences[0].ids, joined({prompt, bytes_of(answer), {kEnd}}));
    EXPECT_EQ(result.example.sequences[0].completion_start, static_cast<std::int64_t>(prompt.size()));
    EXPECT_EQ(result.shorter_prompts, 1);
  }
  EXPECT_EQ(encode(chat("<think>\nyo"), text_source(tokenizer, thinking)).shorter_prompts, 0);
  EXPECT_EQ(encode(chat("yo"), text_source(tokenizer)).shorter_prompts, 0);
}

TEST(EncodeMessages, APromptEndsWithAWholeCharacter) {
  const FakeTokenizer tokenizer = turns_tokenizer();
  const TurnRenderer accents = [](const Json& messages, bool generation) {
    text::RenderedText turns = render_turns(messages, generation);
    const size_t at = turns.text.find("<|assistant|>") + 13;
    turns.text.insert(at, generation ? "\xC3\xA9" : "\xC3\xA8");
    if (!generation) {
      for (Span& span : turns.from_messages) {
        if (span.begin >= at) span = {span.begin + 2, span.end + 2};
      }
    }
    return turns;
  };
  const Ids prompt = joined({{kUser}, bytes_of("hi"), {kEnd, '\n', kAssistant}});
  EXPECT_EQ(encode(chat("yo"), text_source(tokenizer, accents)).example.sequences[0].ids,
            joined({prompt, bytes_of("\xC3\xA8yo"), {kEnd}}));
}

TEST(EncodeMessages, TheRowsNamesReachItsTemplate) {
  const FakeTokenizer tokenizer = turns_tokenizer();
  TextSource text = text_source(tokenizer);
  std::vector<std::string> given;
  text.render = [&given](const Json& messages, bool generation, const Json& kwargs) {
    given.push_back(kwargs.dump());
    return render_turns(messages, generation);
  };
  Json row = chat("yo");
  encode(row, text);
  row["chat_template_kwargs"] = {{"style", "dry"}};
  row["tools"] = Json::array({"f"});
  encode(row, text);
  encode_prompt(parse_prompt(row, "f:1"), text, {});
  const std::string all = R"({"style":"dry","tools":["f"]})";
  EXPECT_EQ(given, (std::vector<std::string>{"null", "null", all, all, all}));
}

TEST(EncodeMessages, ATemplatesOwnRefusalMakesTheRowUnusable) {
  const FakeTokenizer tokenizer = turns_tokenizer();
  const TurnRenderer strict = [](const Json&, bool) -> text::RenderedText {
    throw input_error("[template] roles must alternate");
  };
  EXPECT_EQ(problem_of(chat("yo"), text_source(tokenizer, strict)),
            "unusable: \"completion\": the chat template (turns.jinja) refuses these messages: [template] "
            "roles must "
            "alternate");
  const TurnRenderer broken = [](const Json&, bool) -> text::RenderedText {
    throw model_error("[template] broken");
  };
  EXPECT_THROW(encode(chat("yo"), text_source(tokenizer, broken)), Error);
}

// A base model's end token is another than the one that ends a turn of the template.
TEST(EncodeMessages, NamesTheTokenThatEndsATurn) {
  const FakeTokenizer tokenizer = turns_tokenizer();
  TextSource text = text_source(tokenizer);
  text.end_ids = {77};
  EXPECT_THAT(
      problem_of(chat("yo"), text),
      HasSubstr("ends a finished completion with \"<|end|>\", and the model's end token is \"M\"; set "
                "model.eos_token to \"<|end|>\""));
}

TEST(EncodeMessages, AnUnusualRoleIsTheRowsFault) {
  const FakeTokenizer tokenizer = turns_tokenizer();
  Json row = chat("yo");
  row["completion"][0]["role"] = "bot";
  EXPECT_THAT(
      problem_of(row, text_source(tokenizer)),
      HasSubstr("\"completion\": the message's role is \"bot\", expected \"assistant\"; with it, the chat"));
}

// What a generation prompt ends in is the template's, though a row's answer writes it too.
TEST(EncodeMessages, ThePromptsTokensAreThoseOfGeneration) {
  FakeTokenizer tokenizer = turns_tokenizer();
  tokenizer.controls.push_back("<think>");
  tokenizer.merges = {"\n\n"};
  const TurnRenderer thinking = [](const Json& messages, bool generation) {
    text::RenderedText turns = render_turns(messages, generation);
    if (generation) turns.text += "<think>\n";
    return turns;
  };
  const TextSource text = text_source(tokenizer, thinking);
  for (const char* answer : {"<think>\nyes", "<think>\n\nyes", "<think>\n<think>", "<think>\n"}) {
    const Json row = chat(answer);
    const EncodeResult result = encode(row, text);
    if (result.unusable) continue;
    const EncodedSequence& sequence = result.example.sequences[0];
    const Ids prompt(sequence.ids.begin(), sequence.ids.begin() + sequence.completion_start);
    EXPECT_EQ(prompt, encode_prompt(parse_prompt(row, "f:1"), text, {})) << answer;
    EXPECT_EQ(prompt.end()[-2], tokenizer.id_of("<think>")) << answer;
    EXPECT_EQ(result.boundary_merges, 0);
  }
}

TEST(EncodeMessages, ContentThatTheTemplateTrimsAwayGivesNoCompletion) {
  const FakeTokenizer tokenizer = turns_tokenizer();
  const TurnRenderer trimming = [](const Json& messages, bool generation) {
    Json trimmed = messages;
    for (Json& message : trimmed) {
      if (message["content"] == " ") message["content"] = "";
    }
    return render_turns(trimmed, generation);
  };
  EXPECT_EQ(problem_of(chat(" ", false), text_source(tokenizer, trimming)),
            "unusable: \"completion\": the completion gives no token");
  DataOptions options;
  options.parse_control_tokens = true;
  EXPECT_THAT(*encode(chat("<|end|>x", false), text_source(tokenizer), options).unusable,
              HasSubstr("no token before the end token"));
}

TEST(EncodeMessages, ThePromptIsRenderedOnceForBothCompletions) {
  const FakeTokenizer tokenizer = turns_tokenizer();
  int prompts = 0;
  int wholes = 0;
  const TurnRenderer counting = [&](const Json& messages, bool generation) {
    ++(generation ? prompts : wholes);
    return render_turns(messages, generation);
  };
  const Json row = {{"chosen", {turn("user", "q"), turn("assistant", "y")}},
                    {"rejected", {turn("user", "q"), turn("assistant", "n")}}};
  const EncodeResult result = encode(row, text_source(tokenizer, counting));
  ASSERT_TRUE(result.example.is_pair());
  EXPECT_EQ(result.example.sequences[0].completion_class, CompletionClass::kChosen);
  EXPECT_EQ(result.example.sequences[1].completion_class, CompletionClass::kRejected);
  EXPECT_EQ(prompts, 1);
  EXPECT_EQ(wholes, 2);
}

TEST(EncodeLength, ReportsTruncatesOrRefuses) {
  const FakeTokenizer tokenizer = turns_tokenizer();
  const TextSource text = text_source(tokenizer);
  const Json row = {{"prompt", "abc"}, {"chosen", "d"}, {"rejected", "efghi"}};  // 5 and 9 tokens
  DataOptions options;
  options.max_length = 9;
  EXPECT_FALSE(encode(row, text, options).unusable);
  options.max_length = 8;
  const EncodeResult refused = encode(row, text, options);
  EXPECT_TRUE(refused.overlength);
  EXPECT_EQ(refused.length, 9);
  EXPECT_EQ(*refused.unusable, "9 tokens, more than data.max_length 8");

  options.on_overlength = OnOverlength::kTruncate;
  const EncodeResult truncated = encode(row, text, options);
  EXPECT_FALSE(truncated.unusable);
  EXPECT_TRUE(truncated.truncated);
  EXPECT_EQ(truncated.example.sequences[0].ids, joined({bytes_of("abcd"), {kEnd}}));
  EXPECT_EQ(truncated.example.sequences[1].ids, bytes_of("abcefghi"));
  options.max_length = 4;
  EXPECT_EQ(encode(row, text, options).example.sequences[1].ids, bytes_of("abce"));
  options.max_length = 3;
  const EncodeResult no_room = encode(row, text, options);
  EXPECT_FALSE(no_room.overlength);
  EXPECT_THAT(*no_room.unusable,
              HasSubstr("the prompt alone has 3 tokens, which leaves the completion no room"));
}

TEST(EncodeRow, OneUnusableSideMakesThePairUnusable) {
  FakeTokenizer tokenizer = turns_tokenizer();
  tokenizer.merges = {"ab"};
  const Json row = {{"prompt", "a"}, {"chosen", "x"}, {"rejected", "b"}};
  EXPECT_THAT(problem_of(row, text_source(tokenizer)),
              HasSubstr("unusable: \"rejected\": no token stands before"));
}

}  // namespace
}  // namespace ddro::data
