#include "data/template_kwargs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "data/messages.h"
#include "ddro/data/preference_row.h"
#include "ddro/data/text_source.h"
#include "support/expect_error.h"
#include "unit/data/fake_text.h"

namespace ddro::data {
namespace {

using test::message_of;
using testing::ElementsAre;

TEST(TemplateKwargs, AreTakenOutOfARow) {
  Json fields = {{"prompt", "p"},
                 {"tools", R"([{"name": "f"}])"},
                 {"documents", {{{"title", "t"}}}},
                 {"chat_template_kwargs", {{"enable_thinking", false}, {"tools", 3}}}};
  EXPECT_EQ(take_template_kwargs(fields).dump(),
            R"({"enable_thinking":false,"tools":[{"name":"f"}],"documents":[{"title":"t"}]})");
  EXPECT_EQ(fields.dump(), R"({"prompt":"p"})");
  EXPECT_TRUE(take_template_kwargs(fields).is_null());
  fields["tools"] = "";
  EXPECT_TRUE(take_template_kwargs(fields).is_null()) << "an empty text of tools";
  fields["tools"] = Json::array();
  EXPECT_EQ(take_template_kwargs(fields).dump(), R"({"tools":[]})");
}

TEST(TemplateKwargs, AreRefusedByName) {
  const std::string row =
      R"({"prompt": [{"role": "user", "content": "q"}], "completion": [{"role": "assistant", "content": "a"}], "label": true, )";
  for (const auto& [field, problem] : std::vector<std::pair<std::string, std::string>>{
           {R"("tools": {"name": "f"}})",
            "\"tools\" is none; got an object, expected a list, or JSON text of it"},
           {R"("tools": "f x"})", "\"tools\" is none; got the string \"f x\""},
           {R"("documents": 3})", "\"documents\" is none; got the number 3"},
           {R"("chat_template_kwargs": [1]})",
            "\"chat_template_kwargs\" is none; got a list, expected an object"},
           {R"("chat_template_kwargs": {"messages": []}})",
            "\"chat_template_kwargs\": \"messages\" comes from the row; leave it out"}}) {
    EXPECT_THAT(
        message_of(ErrorKind::kInput, [&, &text = field] { parse_row(Json::parse(row + text), "f:1"); }),
        testing::StartsWith("[data] f:1: " + problem));
  }
}

TEST(TemplateKwargs, OfStringsAreIgnored) {
  const PreferenceRow row =
      parse_row(Json::parse(R"({"prompt": "p", "chosen": "c", "rejected": "r", "tools": 3})"), "f:1");
  EXPECT_TRUE(row.template_kwargs.is_null());
  EXPECT_THAT(row.ignored_fields, ElementsAre("tools"));
}

// The row's come before the run's, and the run's before the model folder's; text of the row's is the row's.
TEST(TemplateKwargs, ReachTheTemplate) {
  text::ModelText text;
  text.tokenizer = std::make_unique<FakeTokenizer>();
  text.end_ids = {1};
  text.template_variables = {{"a", "folder"}, {"b", "folder"}, {"c", "folder"}, {"d", nullptr}};
  text.chat_template = std::make_unique<text::ChatTemplate>(
      "{{ a }} {{ b }} {{ c }} {{ d is defined }} {{ e is none }} {{ tools is none }}", "t");
  DataOptions options;
  options.chat_template_kwargs = {{"b", "run"}, {"c", "run"}, {"e", nullptr}};
  const TextSource source = make_text_source(text, options, 0);
  const Json messages = Json::array();
  EXPECT_EQ(source.render(messages, false, nullptr).text, "folder run run False True True");
  const text::RenderedText rendered =
      source.render(messages, false, {{"c", "row"}, {"tools", Json::array()}});
  EXPECT_EQ(rendered.text, "folder run row False True False");
  EXPECT_EQ(rendered.from_messages, (std::vector<Span>{{11, 14}}));
}

// A template that reads parts gets them; for another they are one text.
TEST(ContentParts, AreWhatTheTemplateReads) {
  text::ModelText text;
  text.tokenizer = std::make_unique<FakeTokenizer>();
  text.end_ids = {1};
  const auto render = [&](const char* source) {
    text.chat_template = std::make_unique<text::ChatTemplate>(source, "t");
    const Json part = {{"type", "text"}, {"text", "x"}};
    const Json message = {{"role", "user"}, {"content", {part, part}}};
    return make_text_source(text, {}, 0).render(Json::array({message}), false, nullptr).text;
  };
  EXPECT_EQ(render("{% for part in messages[0].content %}[{{ part.text }}]{% endfor %}"), "[x][x]");
  EXPECT_EQ(render("{{ 'user ' + messages[0].content }}"), "user xx");
  EXPECT_EQ(render("{{ messages[0].content }}"), "xx");
}

}  // namespace
}  // namespace ddro::data
