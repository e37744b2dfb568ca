// What a rendering gave, against what jinja2 gave for it: {"text"} or {"error", "raised"}, as
// tests/fixtures/make_chat_templates.py writes it.
#pragma once

#include <functional>
#include <string>

#include "ddro/base/error.h"
#include "ddro/base/json.h"
#include "support/fixtures.h"

namespace ddro::test {

inline Json read_chat_fixture(const std::string& name) {
  return read_json_file(fixture("chat_templates/" + name).string(), ErrorKind::kInput);
}

struct Outcome {
  std::string text;
  std::string error;
};

inline Outcome outcome_of(const std::function<std::string()>& render) {
  try {
    return {render(), ""};
  } catch (const Error& error) {
    return {"", error.what()};
  }
}

// Empty if `outcome` is what `expected` says, else how they differ.
inline std::string difference(const Json& expected, const Outcome& outcome) {
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

}  // namespace ddro::test
