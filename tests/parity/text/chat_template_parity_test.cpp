// Chat templates against jinja2 in transformers' environment: the same bytes, or an error where jinja2 has
// one.
#include <gtest/gtest.h>

#include <string>

#include "ddro/text/chat_template.h"
#include "parity/jinja/jinja2_outcome.h"

namespace ddro::text {
namespace {

TEST(ChatTemplateParity, RendersTemplatesOfModelFamiliesAsTransformersDoes) {
  const Json fixture = test::read_chat_fixture("renderings.json");
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
    const auto source = fixture["templates"][name].get<std::string>();
    const auto outcome =
        test::outcome_of([&] { return ChatTemplate(source, "t").render(messages, options).text; });
    texts += row.contains("text") ? 1 : 0;
    raised += row.contains("error") && row["raised"].get<bool>() ? 1 : 0;
    const std::string problem = test::difference(row, outcome);
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

}  // namespace
}  // namespace ddro::text
