// Messages as data sets write them, to messages as templates take them.
#pragma once

#include <string>

#include "ddro/base/json.h"

namespace ddro::data {

// Why a row cannot be used, thrown by what does not know the row's place.
struct BadRow {
  std::string problem;
};

// A value as an error message shows it.
std::string shown(const Json& value);

std::string quoted(const std::string& name);

// `value` is a message, or a list of them: the list, with {"from", "value"} written as {"role", "content"}
// and from's human, gpt, observation and function_call as user, assistant, tool and an assistant's
// tool_calls; a text part's "value" as "text"; an assistant's parts of type reasoning and tool_call as its
// reasoning_content and tool_calls. Throws BadRow, in which `field` names the value, for what is
// no message: objects with a string `role` and a `content` that is a string, a list of text parts ({"type":
// "text", "text": ...}), or, in a message with tool calls, null or absent. Further fields are the template's
// business.
Json standard_messages(Json value, const std::string& field);

Json message(const char* role, std::string content);
Json answer(std::string content);  // one message of the assistant, in a list

bool has_tool_calls(const Json& message);
bool is_empty_content(const Json& content);  // a string or parts

// Whether a standard message is the assistant's: not what it answers to (user, system, developer, tool).
bool is_answer(const Json& message);

// The same but for the order of keys.
bool same_message(const Json& a, const Json& b);

bool has_parts(const Json& messages);  // some message's content
// A copy with each list of text parts joined to one string.
Json with_joined_parts(const Json& messages);

}  // namespace ddro::data
