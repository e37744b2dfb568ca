#include "ddro/data/preference_row.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

namespace ddro::data {
namespace {

constexpr std::array<const char*, 4> kPairedFields = {"chosen", "rejected", "chosen_finished",
                                                      "rejected_finished"};
constexpr std::array<const char*, 3> kUnpairedFields = {"completion", "label", "finished"};
constexpr std::array<const char*, 2> kCommonFields = {"prompt", "weight"};
constexpr double kMinWeight = 1e-9;
constexpr double kMaxWeight = 1e9;

std::string quoted(const std::string& name) { return "\"" + printable(name) + "\""; }

// What an error message calls a message.
struct MessageName {
  const char* field;
  size_t number;
  std::string operator()() const { return quoted(field) + " message " + std::to_string(number); }
};

// A value as an error message shows it.
std::string shown(const Json& value) {
  if (value.is_object()) return "an object";
  if (value.is_array()) return value.empty() ? "an empty list" : "a list";
  if (value.is_string()) return "the string " + quoted(value.get<std::string>());
  return value.is_number() ? "the number " + value.dump() : value.dump();
}

bool is_messages(const Content& content) { return std::holds_alternative<Json>(content); }

bool has_tool_calls(const Json& message) {
  for (const char* field : {"tool_calls", "function_call"}) {
    const auto found = message.find(field);
    if (found != message.end() && !found->is_null() && !found->empty()) return true;
  }
  return false;
}

bool is_empty_content(const Json& content) {
  if (content.is_string()) return content.get_ref<const std::string&>().empty();
  return std::all_of(content.begin(), content.end(), [](const Json& part) {
    return part["type"] == "text" && part["text"].get_ref<const std::string&>().empty();
  });
}

// The order of an object's keys does not tell messages apart.
bool same_message(const Json& a, const Json& b) { return nlohmann::json(a) == nlohmann::json(b); }

class RowParser {
 public:
  RowParser(Json fields, const std::string& where) : fields_(std::move(fields)) {
    row_.where = where;
    if (!fields_.is_object())
      refuse("a row is a JSON object; got " + shown(fields_) + ", expected one object a line");
  }

  Content parse_prompt() {
    if (!fields_.contains("prompt")) refuse("\"prompt\" is missing; expected a string or a list of messages");
    return content("prompt");
  }

  PreferenceRow parse() {
    row_.kind = kind();
    if (row_.kind == RowKind::kPaired) {
      parse_paired();
    } else {
      parse_unpaired();
    }
    row_.weight = weight();
    collect_ignored_fields();
    return std::move(row_);
  }

 private:
  [[noreturn]] void refuse(const std::string& problem) const {
    throw input_error("[data] " + row_.where + ": " + problem);
  }

  template <size_t N>
  const char* first_present(const std::array<const char*, N>& names) const {
    for (const char* name : names) {
      if (fields_.contains(name)) return name;
    }
    return nullptr;
  }

  RowKind kind() const {
    const char* paired = first_present(kPairedFields);
    const char* unpaired = first_present(kUnpairedFields);
    if (paired && unpaired) {
      refuse(quoted(paired) + " belongs to paired rows and " + quoted(unpaired) +
             " to unpaired ones; a row is of one kind");
    }
    if (!paired && !unpaired) {
      refuse(
          "neither a paired nor an unpaired row; expected prompt, chosen and rejected, or prompt, completion "
          "and label");
    }
    return paired ? RowKind::kPaired : RowKind::kUnpaired;
  }

  void parse_paired() {
    row_.chosen = completion("chosen", "chosen_finished");
    row_.rejected = completion("rejected", "rejected_finished");
    require_one_form("chosen", row_.chosen.content, "rejected", row_.rejected.content);
    if (fields_.contains("prompt")) {
      row_.prompt = content("prompt");
      require_one_form("prompt", row_.prompt, "chosen", row_.chosen.content);
    } else if (is_messages(row_.chosen.content)) {
      split_common_beginning();
    } else {
      refuse(
          "\"prompt\" is missing; a paired row needs prompt, chosen and rejected, or chosen and rejected as "
          "message "
          "lists with a common beginning");
    }
    require_completion("chosen", row_.chosen.content);
    require_completion("rejected", row_.rejected.content);
  }

  void parse_unpaired() {
    row_.prompt = content("prompt");
    row_.chosen = completion("completion", "finished");
    require_one_form("prompt", row_.prompt, "completion", row_.chosen.content);
    require_completion("completion", row_.chosen.content);
    require("label");
    row_.label = boolean("label");
  }

  void require(const char* name) const {
    if (fields_.contains(name)) return;
    refuse(quoted(name) + " is missing; " +
           (row_.kind == RowKind::kPaired ? "a paired row needs prompt, chosen and rejected"
                                          : "an unpaired row needs prompt, completion and label"));
  }

  bool boolean(const char* name) const {
    const Json& value = fields_[name];
    if (!value.is_boolean())
      refuse(quoted(name) + " is not a boolean; got " + shown(value) + ", expected true or false");
    return value.get<bool>();
  }

  double weight() const {
    if (!fields_.contains("weight")) return 1.0;
    const Json& value = fields_["weight"];
    const double number = value.is_number() ? value.get<double>() : std::nan("");
    if (!(number >= kMinWeight && number <= kMaxWeight)) {
      refuse("\"weight\" is no weight; got " + shown(value) + ", expected a number from 1e-9 to 1e9");
    }
    return number;
  }

  Completion completion(const char* name, const char* finished_name) {
    return {content(name), fields_.contains(finished_name) ? boolean(finished_name) : true};
  }

  // Takes the field's value; that it was there stays known.
  Content content(const char* name) {
    require(name);
    Json& value = fields_[name];
    if (value.is_string()) return std::move(value.get_ref<std::string&>());
    if (!value.is_array() || value.empty()) {
      refuse(quoted(name) + " is no text; got " + shown(value) + ", expected a string or a list of messages");
    }
    for (size_t i = 0; i < value.size(); ++i) check_message(value[i], {name, i + 1});
    return std::move(value);
  }

  void check_message(const Json& message, const MessageName& name) const {
    if (!message.is_object())
      refuse(name() + " is no message; got " + shown(message) + ", expected an object");
    const auto role = message.find("role");
    if (role == message.end()) refuse(name() + " has no \"role\"");
    if (!role->is_string() || role->get_ref<const std::string&>().empty()) {
      refuse(name() + ": \"role\" is no name; got " + shown(*role) +
             ", expected a string such as user or assistant");
    }
    const auto content = message.find("content");
    if (content == message.end() || content->is_null()) {
      if (has_tool_calls(message)) return;
      refuse(name() + (content == message.end() ? " has no \"content\"" : ": \"content\" is null") +
             "; only a message with tool calls may go without");
    }
    if (content->is_string()) return;
    if (!content->is_array()) {
      refuse(name() + ": \"content\" is no text; got " + shown(*content) +
             ", expected a string or a list of parts");
    }
    for (const Json& part : *content) check_part(part, name);
  }

  void check_part(const Json& part, const MessageName& name) const {
    const bool typed = part.is_object() && part.contains("type") && part["type"].is_string();
    if (!typed) {
      refuse(name() + ": \"content\" has a part that is none; got " + shown(part) +
             ", expected an object with a string \"type\"");
    }
    if (part["type"] == "text" && !(part.contains("text") && part["text"].is_string())) {
      refuse(name() + ": \"content\" has a text part without a string \"text\"");
    }
  }

  void require_one_form(const char* a_name, const Content& a, const char* b_name, const Content& b) const {
    if (is_messages(a) == is_messages(b)) return;
    const char* strings = is_messages(a) ? b_name : a_name;
    const char* messages = is_messages(a) ? a_name : b_name;
    refuse(quoted(strings) + " is a string but " + quoted(messages) +
           " a list of messages; expected one form for the whole row");
  }

  void split_common_beginning() {
    Json& chosen = std::get<Json>(row_.chosen.content);
    Json& rejected = std::get<Json>(row_.rejected.content);
    const size_t most = std::min(chosen.size(), rejected.size()) - 1;
    size_t common = 0;
    while (common < most && same_message(chosen[common], rejected[common])) ++common;
    if (common == 0) {
      refuse(
          "\"prompt\" is missing, and \"chosen\" and \"rejected\" have no common beginning that could be it");
    }
    const auto split = static_cast<std::ptrdiff_t>(common);
    row_.prompt = Json(Json::array_t(chosen.begin(), chosen.begin() + split));
    chosen.erase(chosen.begin(), chosen.begin() + split);
    rejected.erase(rejected.begin(), rejected.begin() + split);
  }

  void require_completion(const char* name, const Content& content) const {
    if (!is_messages(content)) {
      if (std::get<std::string>(content).empty()) refuse(quoted(name) + " is empty");
      return;
    }
    const Json& messages = std::get<Json>(content);
    if (messages.size() != 1) {
      const char* hint = fields_.contains("prompt")
                             ? "leave \"prompt\" out where the completions repeat it"
                             : "\"chosen\" and \"rejected\" must be equal up to their last message";
      refuse(quoted(name) + " is " + std::to_string(messages.size()) +
             " messages after the prompt, expected one; " + hint);
    }
    const std::string role = messages[0]["role"].get<std::string>();
    if (role == "user" || role == "system") {
      refuse(quoted(name) + " is a message of the " + role + ", expected one of the assistant");
    }
    if (!has_tool_calls(messages[0]) && is_empty_content(messages[0]["content"]))
      refuse(quoted(name) + " is empty");
  }

  void collect_ignored_fields() {
    const auto contains = [](const auto& names, const std::string& name) {
      return std::find(names.begin(), names.end(), name) != names.end();
    };
    for (const auto& [name, value] : fields_.items()) {
      if (!contains(kPairedFields, name) && !contains(kUnpairedFields, name) &&
          !contains(kCommonFields, name)) {
        row_.ignored_fields.push_back(name);
      }
    }
  }

  Json fields_;
  PreferenceRow row_;
};

Json parse_fields(std::string_view line, const std::string& where) {
  static const std::string kParser = "row";
  try {
    return parse_json_exactly(line, kParser, ErrorKind::kInput);
  } catch (const Error& error) {
    const std::string problem = error.what();
    throw input_error("[data] " + where + ": " + problem.substr(kParser.size() + 3));
  }
}

}  // namespace

PreferenceRow parse_row(std::string_view line, const std::string& where) {
  return RowParser(parse_fields(line, where), where).parse();
}

Content parse_prompt(std::string_view line, const std::string& where) {
  return RowParser(parse_fields(line, where), where).parse_prompt();
}

}  // namespace ddro::data
