#include "data/template_kwargs.h"

#include <utility>

#include "data/messages.h"

namespace ddro::data {
namespace {

// Data sets whose tools differ from row to row write them as JSON text; an empty one stands for none.
Json take_value(Json& fields, const char* name, bool (Json::*is_expected)() const noexcept,
                const char* expected) {
  Json value = std::move(fields[name]);
  fields.erase(name);
  if (value == Json("")) return nullptr;
  Json read = value;
  if (value.is_string()) {
    try {
      read = parse_json_exactly(value.get_ref<const std::string&>(), name, ErrorKind::kInput);
    } catch (const Error&) {
      read = nullptr;
    }
  }
  if ((read.*is_expected)()) return read;
  throw BadRow{quoted(name) + " is none; got " + shown(value) + ", expected " + expected +
               ", or JSON text of it"};
}

}  // namespace

std::optional<std::string> problem_of_kwargs(const Json& kwargs) {
  for (const char* name : {"messages", "add_generation_prompt"}) {
    if (kwargs.contains(name)) return quoted(name) + " comes from the row; leave it out";
  }
  return std::nullopt;
}

Json take_template_kwargs(Json& fields) {
  Json kwargs = nullptr;
  if (fields.contains("chat_template_kwargs")) {
    kwargs = take_value(fields, "chat_template_kwargs", &Json::is_object, "an object");
    if (const auto problem = problem_of_kwargs(kwargs)) throw BadRow{"\"chat_template_kwargs\": " + *problem};
  }
  for (const char* name : {"tools", "documents"}) {
    if (!fields.contains(name)) continue;
    Json value = take_value(fields, name, &Json::is_array, "a list");
    if (!value.is_null()) kwargs[name] = std::move(value);
  }
  return kwargs;
}

}  // namespace ddro::data
