#include "ddro/text/chat_template.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "ddro/base/error.h"
#include "support/temporary_folder.h"

namespace ddro::text {
namespace {

using test::TemporaryFolder;
using testing::HasSubstr;

TEST(ChatTemplate, OnlyUnusualRolesAreMarked) {
  const ChatTemplate program("{{ '<|' + messages[0].role + '|>' }}", "t");
  const auto marks = [&](const char* role) {
    return program.render(Json::array({{{"role", role}}}), {}).from_messages;
  };
  EXPECT_TRUE(marks("user").empty());
  EXPECT_TRUE(marks("assistant").empty());
  EXPECT_EQ(marks("endoftext"), (std::vector<Span>{{2, 11}}));
  const ChatTemplate content("{{ messages[0].content[0].role }}", "t");
  const Json inner = Json::array({{{"role", "user"}, {"content", Json::array({{{"role", "user"}}})}}});
  EXPECT_EQ(content.render(inner, {}).from_messages, (std::vector<Span>{{0, 4}}));
}

TEST(ChatTemplate, VariablesAreTheTemplates) {
  RenderOptions options;
  options.variables = {{"bos_token", "B"}, {"x", nullptr}};
  const ChatTemplate given("{{ bos_token }}{{ x is defined }}{{ tools }}{{ documents is none }}", "t");
  EXPECT_EQ(given.render(Json::array(), options).text, "BFalseNoneTrue");
  options.add_generation_prompt = true;
  options.variables = {{"tools", Json::array({"t"})}};
  const RenderedText out =
      ChatTemplate("{{ tools[0] }}{{ add_generation_prompt }}", "t").render(Json::array(), options);
  EXPECT_EQ(out.text, "tTrue");
  EXPECT_TRUE(out.from_messages.empty());
}

TEST(ChatTemplate, KnowsWhetherItShowsTheDate) {
  EXPECT_TRUE(ChatTemplate("{{ strftime_now('%d') }}", "t").uses_date());
  EXPECT_FALSE(ChatTemplate("{{ 'strftime_now' }}", "t").uses_date());
}

TEST(ChatTemplate, RefusesMessagesThatAreNoList) {
  try {
    ChatTemplate("x", "t").render(Json::object(), {});
    FAIL() << "expected an error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInput);
    EXPECT_STREQ(error.what(), "[t] the messages are no list");
  }
}

TEST(LoadChatTemplate, TakesTheFoldersTemplate) {
  const TemporaryFolder folder;
  EXPECT_EQ(load_chat_template(folder.path()), nullptr);
  folder.write("tokenizer_config.json", "{}");
  EXPECT_EQ(load_chat_template(folder.path()), nullptr);
  folder.write("tokenizer_config.json", R"({"chat_template": "one"})");
  EXPECT_EQ(load_chat_template(folder.path())->source(), "one");
  folder.write(
      "tokenizer_config.json",
      R"({"chat_template": [{"name": "rag", "template": "r"}, {"name": "default", "template": "d"}]})");
  EXPECT_EQ(load_chat_template(folder.path())->source(), "d");
  folder.write("tokenizer_config.json", R"({"chat_template": [{"name": "rag", "template": "r"}]})");
  EXPECT_EQ(load_chat_template(folder.path()), nullptr);
  folder.write("tokenizer_config.json", R"({"chat_template": 5})");
  EXPECT_THROW(load_chat_template(folder.path()), Error);
  folder.write("tokenizer_config.json", R"({"chat_template": [5]})");
  EXPECT_THROW(load_chat_template(folder.path()), Error);
  folder.write("chat_template.jinja", "file");
  EXPECT_EQ(load_chat_template(folder.path())->source(), "file");
  folder.write("chat_template.jinja", "\n{{ 1 | nope }}");
  try {
    load_chat_template(folder.path());
    FAIL() << "expected an error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kModel);
    EXPECT_THAT(error.what(), HasSubstr("chat_template.jinja:2] the filter nope"));
  }
}

}  // namespace
}  // namespace ddro::text
