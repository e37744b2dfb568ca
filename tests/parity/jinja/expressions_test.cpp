// Small templates against jinja2 in transformers' environment: the same bytes, or an error where jinja2 has
// one.
#include <gtest/gtest.h>

#include "ddro/jinja/template.h"
#include "parity/jinja/jinja2_outcome.h"

namespace ddro::jinja {
namespace {

TEST(JinjaParity, EvaluatesSmallTemplatesAsJinja2Does) {
  const Json fixture = test::read_chat_fixture("expressions.json");
  ASSERT_GE(fixture["results"].size(), 200U);
  const Json add_generation_prompt = true;
  std::vector<Variable> variables = {{"messages", &fixture["messages"]},
                                     {"add_generation_prompt", &add_generation_prompt},
                                     {"tools"},
                                     {"documents"}};
  for (const auto& [name, value] : fixture["variables"].items()) variables.push_back({name, &value});
  const auto now = fixture["now"].get<std::time_t>();
  for (const Json& row : fixture["results"]) {
    const auto source = row["template"].get<std::string>();
    const auto outcome = test::outcome_of([&] { return Template(source, "t").render(variables, now).text; });
    EXPECT_EQ(test::difference(row, outcome), "") << source;
  }
}

}  // namespace
}  // namespace ddro::jinja
