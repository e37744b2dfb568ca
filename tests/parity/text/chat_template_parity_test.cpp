// Chat templates against jinja2 in transformers' environment: the same bytes, or an error where jinja2 has
// one.
#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <string>

#include "ddro/base/error.h"
#include "ddro/base/json.h"
#include "ddro/text/chat_template.h"

namespace ddro::text {
namespace {

Json read_fixture(const std::string& name) {
  const char* root = std::getenv("DDRO_FIXTURES");
  if (root == nullptr) throw input_error("DDRO_FIXTURES is not set; run the test through ctest");
  return read_json_file(std::string(root) + "/chat_templates/" + name, ErrorKind::kInput);
}

// What came out: the text, or the error.
struct Outcome {
  std::string text;
  std::string error;
};

Outcome render(const std::string& source, const Json& messages, const RenderOptions& options) {
  try {
    return {ChatTemplate(source, "t").render(messages, options).text, ""};
  } catch (const Error& error) {
    return {"", error.what()};
  }
}

// Empty if `outcome` is what `expected` says, else how they differ.
std::string difference(const Json& expected, const Outcome& outcome) {
  if (expected.contains("text")) {
    const auto& text = expected["text"].get_ref<const std::string&>();
    if (!outcome.error.empty()) return "expected text, got " + outcome.error;
    if (outcome.text == text) return "";
    return "expected\n" + text + "\ngot\n" + outcome.text;
  }
  const auto& message = expected["error"].get_ref<const std::string&>();
  if (outcome.error.empty()) return "expected the error " + message + ", got\n" + outcome.text;
  if (!expected["raised"].get<bool>()) return "";
  const std::string raised = "the template refuses the messages: " + printable(message, 2000);
  return outcome.error.ends_with(raised) ? "" : "expected " + raised + ", got " + outcome.error;
}

TEST(ChatTemplateParity, RendersTemplatesOfModelFamiliesAsTransformersDoes) {
  const Json fixture = read_fixture("renderings.json");
  ASSERT_GE(fixture["templates"].size(), 20U);
  ASSERT_GE(fixture["results"].size(), 2000U);
  size_t texts = 0;
  size_t raised = 0;
  size_t differences = 0;
  for (const Json& row : fixture["results"]) {
    RenderOptions options;
    options.add_generation_prompt = row["prompt"].get<bool>();
    options.now = fixture["now"].get<std::time_t>();
    options.variables = fixture["settings"][row["setting"].get<std::string>()];
    const auto name = row["template"].get<std::string>();
    const Json& messages = fixture["conversations"][row["conversation"].get<std::string>()];
    const Outcome outcome = render(fixture["templates"][name].get<std::string>(), messages, options);
    texts += row.contains("text") ? 1 : 0;
    raised += row.contains("error") && row["raised"].get<bool>() ? 1 : 0;
    const std::string problem = difference(row, outcome);
    if (problem.empty()) continue;
    if (++differences <= 10) {
      ADD_FAILURE() << name << " on " << row["conversation"] << " (" << row["setting"] << ", "
                    << options.add_generation_prompt << "): " << problem;
    }
  }
  EXPECT_EQ(differences, 0U);
  EXPECT_GT(texts, 1500U);
  EXPECT_GT(raised, 50U);
}

TEST(ChatTemplateParity, EvaluatesSmallTemplatesAsJinja2Does) {
  const Json fixture = read_fixture("expressions.json");
  ASSERT_GE(fixture["results"].size(), 200U);
  RenderOptions options;
  options.add_generation_prompt = true;
  options.now = fixture["now"].get<std::time_t>();
  options.variables = fixture["variables"];
  for (const Json& row : fixture["results"]) {
    const auto source = row["template"].get<std::string>();
    EXPECT_EQ(difference(row, render(source, fixture["messages"], options)), "") << source;
  }
}

}  // namespace
}  // namespace ddro::text
