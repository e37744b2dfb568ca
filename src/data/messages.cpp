#include "data/messages.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

namespace ddro::data {
namespace {

// What an error message calls a message.
struct MessageName {
  const std::string& field;
  size_t number;
  std::string operator()() const { return quoted(field) + " message " + std::to_string(number); }
};

[[noreturn]] void refuse(const std::string& problem) { throw BadRow{problem}; }

// ShareGPT's names of roles; others are names that templates know.
struct RoleName {
  std::string_view from;
  const char* role;
};
constexpr std::array<RoleName, 3> kRoles = {
    {{"human", "user"}, {"gpt", "assistant"}, {"observation", "tool"}}};
constexpr std::string_view kFunctionCall = "function_call";

// {"name": ..., "arguments": ...}, or a list of them, as text; `what` is what stands there.
Json tool_calls(const Json& value, const MessageName& name, const std::string& what) {
  const std::string problem = ": a " + what + " is no call; got " + shown(value) +
                              ", expected JSON text of an object with name and arguments, or a list of them";
  if (!value.is_string()) refuse(name() + problem);
  Json calls;
  try {
    calls = parse_json_exactly(value.get_ref<const std::string&>(), "call", ErrorKind::kInput);
  } catch (const Error&) {
    refuse(name() + problem);
  }
  if (calls.is_object()) calls = Json::array({std::move(calls)});
  if (!calls.is_array() || calls.empty()) refuse(name() + problem);
  Json result = Json::array();
  for (Json& call : calls) {
    if (!call.is_object() || !call.contains("name")) refuse(name() + problem);
    result.push_back({{"type", "function"}, {"function", std::move(call)}});
  }
  return result;
}

Json from_sharegpt(Json message, const MessageName& name) {
  Json role = message["from"];
  Json value = message["value"];
  const std::string from = role.is_string() ? role.get<std::string>() : "";
  message.erase("from");
  message.erase("value");
  Json result = Json::object();
  if (from == kFunctionCall) {
    result = {{"role", "assistant"},
              {"content", ""},
              {"tool_calls", tool_calls(value, name, std::string(kFunctionCall))}};
  } else {
    const auto known =
        std::find_if(kRoles.begin(), kRoles.end(), [&](const RoleName& entry) { return entry.from == from; });
    if (known != kRoles.end()) role = known->role;
    result = {{"role", std::move(role)}, {"content", std::move(value)}};
  }
  result.update(message);
  return result;
}

void standardize_part(Json& part, const MessageName& name) {
  const bool typed = part.is_object() && part.contains("type") && part["type"].is_string();
  if (!typed) {
    refuse(name() + ": \"content\" has a part that is none; got " + shown(part) +
           ", expected an object with a string \"type\"");
  }
  const std::string type = part["type"].get<std::string>();
  if (type != "text") {
    refuse(name() + ": \"content\" has a part of type " + quoted(type) + "; only text can be trained on");
  }
  if (!part.contains("text") && part.contains("value")) {
    part["text"] = part["value"];
    part.erase("value");
  }
  if (!part.contains("text") || !part["text"].is_string())
    refuse(name() + ": \"content\" has a text part without a string \"text\"");
}

bool is_of_type(const Json& part, std::string_view type) {
  return part.is_object() && part.contains("type") && part["type"].is_string() &&
         part["type"].get_ref<const std::string&>() == type;
}

// Parts of an assistant's message that templates take as fields of it: LLaMA-Factory's reasoning and
// tool_call. Templates write reasoning, text and calls in this order.
void take_field_parts(Json& message, const MessageName& name) {
  Json& content = message["content"];
  Json rest = Json::array();
  Json calls = Json::array();
  std::string reasoning;
  bool has_reasoning = false;
  for (Json& part : content) {
    const bool is_reasoning = is_of_type(part, "reasoning");
    const bool is_call = is_of_type(part, "tool_call");
    if ((is_reasoning && !(rest.empty() && calls.empty())) || (!is_call && !calls.empty())) {
      refuse(name() +
             ": \"content\" has parts in an order that no template writes; expected reasoning, "
             "text, tool_call");
    }
    const Json value = part.is_object() && part.contains("value") ? part["value"] : Json();
    if (is_reasoning) {
      if (!value.is_string())
        refuse(name() + ": \"content\" has a reasoning part without a string \"value\"");
      reasoning += value.get_ref<const std::string&>();
      has_reasoning = true;
    } else if (is_call) {
      for (Json& call : tool_calls(value, name, "tool_call")) calls.push_back(std::move(call));
    } else {
      rest.push_back(std::move(part));
    }
  }
  if ((has_reasoning && message.contains("reasoning_content")) ||
      (!calls.empty() && message.contains("tool_calls"))) {
    refuse(name() + ": \"content\" has parts of what the message has a field of its own for");
  }
  const bool only_fields = rest.empty() && !content.empty();
  content = only_fields ? Json("") : std::move(rest);
  if (has_reasoning) message["reasoning_content"] = std::move(reasoning);
  if (!calls.empty()) message["tool_calls"] = std::move(calls);
}

void standardize_content(Json& message, const MessageName& name) {
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
  if (is_answer(message)) take_field_parts(message, name);
  Json& parts = message["content"];
  if (!parts.is_array()) return;
  for (Json& part : parts) standardize_part(part, name);
}

void standardize_message(Json& message, const MessageName& name) {
  if (!message.is_object()) refuse(name() + " is no message; got " + shown(message) + ", expected an object");
  if (!message.contains("role") && message.contains("from") && message.contains("value"))
    message = from_sharegpt(std::move(message), name);
  const auto role = message.find("role");
  if (role == message.end()) refuse(name() + " has no \"role\"");
  if (!role->is_string() || role->get_ref<const std::string&>().empty()) {
    refuse(name() + ": \"role\" is no name; got " + shown(*role) +
           ", expected a string such as user or assistant");
  }
  standardize_content(message, name);
}

}  // namespace

std::string quoted(const std::string& name) { return "\"" + printable(name) + "\""; }

std::string shown(const Json& value) {
  if (value.is_object()) return "an object";
  if (value.is_array()) return value.empty() ? "an empty list" : "a list";
  if (value.is_string()) return "the string " + quoted(value.get<std::string>());
  return value.is_number() ? "the number " + value.dump() : value.dump();
}

Json standard_messages(Json value, const std::string& field) {
  if (value.is_object()) value = Json::array({std::move(value)});
  if (!value.is_array() || value.empty()) {
    refuse(quoted(field) + " is no text; got " + shown(value) + ", expected a string or a list of messages");
  }
  for (size_t i = 0; i < value.size(); ++i) standardize_message(value[i], {field, i + 1});
  return value;
}

Json message(const char* role, std::string content) {
  return {{"role", role}, {"content", std::move(content)}};
}

Json answer(std::string content) { return Json::array({message("assistant", std::move(content))}); }

bool has_tool_calls(const Json& message) {
  for (const char* field : {"tool_calls", "function_call"}) {
    const auto found = message.find(field);
    if (found != message.end() && !found->is_null() && !found->empty()) return true;
  }
  return false;
}

bool is_empty_content(const Json& content) {
  if (content.is_string()) return content.get_ref<const std::string&>().empty();
  return std::all_of(content.begin(), content.end(),
                     [](const Json& part) { return part["text"].get_ref<const std::string&>().empty(); });
}

bool is_answer(const Json& message) {
  const std::string& role = message["role"].get_ref<const std::string&>();
  return role != "user" && role != "system" && role != "developer" && role != "tool";
}

bool same_message(const Json& a, const Json& b) { return nlohmann::json(a) == nlohmann::json(b); }

bool has_parts(const Json& messages) {
  return std::any_of(messages.begin(), messages.end(), [](const Json& message) {
    return message.contains("content") && message["content"].is_array();
  });
}

Json with_joined_parts(const Json& messages) {
  Json result = messages;
  for (Json& message : result) {
    const auto content = message.find("content");
    if (content == message.end() || !content->is_array()) continue;
    std::string text;
    for (const Json& part : *content) text += part["text"].get_ref<const std::string&>();
    *content = std::move(text);
  }
  return result;
}

}  // namespace ddro::data
