#include "data/layouts.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "data/messages.h"
#include "ddro/data/known_inputs.h"

namespace ddro::data {
namespace {

constexpr std::array<std::string_view, 23> kFields = {"prompt",
                                                      "chosen",
                                                      "rejected",
                                                      "chosen_finished",
                                                      "rejected_finished",
                                                      "completion",
                                                      "label",
                                                      "finished",
                                                      "weight",
                                                      "kto_tag",
                                                      "instruction",
                                                      "question",
                                                      "input",
                                                      "output",
                                                      "system",
                                                      "history",
                                                      "conversations",
                                                      "messages",
                                                      "chosen_messages",
                                                      "rejected_messages",
                                                      "tools",
                                                      "documents",
                                                      "chat_template_kwargs"};

bool is_string(const Json& fields, const char* name) {
  return fields.contains(name) && fields[name].is_string();
}
// Messages, as a list or as one object.
bool is_messages(const Json& fields, const char* name) {
  return fields.contains(name) && fields[name].is_structured();
}

Json take(Json& fields, const char* name) {
  if (!fields.contains(name)) throw BadRow{quoted(name) + " is missing"};
  Json value = std::move(fields[name]);
  fields.erase(name);
  return value;
}

std::string take_string(Json& fields, const char* name) {
  Json value = take(fields, name);
  if (!value.is_string())
    throw BadRow{quoted(name) + " is no text; got " + shown(value) + ", expected a string"};
  return std::move(value.get_ref<std::string&>());
}

std::string take_string_if_any(Json& fields, const char* name) {
  return fields.contains(name) ? take_string(fields, name) : "";
}

// The conversation begins with the system message that stands in a field of its own.
void prepend_system(Json& fields, Json& messages) {
  std::string system = take_string_if_any(fields, "system");
  if (!system.empty()) messages.insert(messages.begin(), message("system", std::move(system)));
}

void rename(Json& fields, const char* from, const char* to) {
  if (!fields.contains(from)) return;
  Json value = take(fields, from);
  fields[to] = std::move(value);
}

// The last message of a conversation is what its label is of.
void split_answer(Json& fields, Json conversation, const char* name) {
  if (!is_answer(conversation.back()))
    throw BadRow{quoted(name) + " does not end with a message of the assistant, which the label would be of"};
  if (conversation.size() < 2) throw BadRow{quoted(name) + " has no message before the answer"};
  Json answer = std::move(conversation.back());
  conversation.erase(conversation.size() - 1);
  fields["prompt"] = std::move(conversation);
  fields["completion"] = Json::array({std::move(answer)});
}

// A conversation, and its answers or the label of its last message.
void from_conversation(Json& fields, const char* name) {
  Json conversation = standard_messages(take(fields, name), name);
  prepend_system(fields, conversation);
  if (fields.contains("chosen") || fields.contains("rejected")) {
    fields["prompt"] = std::move(conversation);
  } else {
    split_answer(fields, std::move(conversation), name);
  }
}

void from_sharegpt(Json& fields) { from_conversation(fields, "conversations"); }

void from_messages(Json& fields) {
  if (fields.contains("messages")) return from_conversation(fields, "messages");
  rename(fields, "chosen_messages", "chosen");
  rename(fields, "rejected_messages", "rejected");
}

// [[question, answer], ...]
Json past_turns(Json& fields) {
  Json messages = Json::array();
  if (!fields.contains("history")) return messages;
  Json history = take(fields, "history");
  const auto is_turn = [](const Json& turn) {
    return turn.is_array() && turn.size() == 2 && turn[0].is_string() && turn[1].is_string();
  };
  if (!history.is_array() || !std::all_of(history.begin(), history.end(), is_turn))
    throw BadRow{"\"history\" is none; got " + shown(history) + ", expected a list of [question, answer]"};
  for (Json& turn : history) {
    messages.push_back(message("user", turn[0].get<std::string>()));
    messages.push_back(message("assistant", turn[1].get<std::string>()));
  }
  return messages;
}

// `output` as [chosen, rejected]
void split_output(Json& fields) {
  Json output = take(fields, "output");
  if (output.size() != 2 || !output[0].is_string() || !output[1].is_string())
    throw BadRow{"\"output\" is no pair; got " + shown(output) +
                 ", expected [chosen, rejected], two strings"};
  fields["chosen"] = std::move(output[0]);
  fields["rejected"] = std::move(output[1]);
}

void from_alpaca(Json& fields) {
  Json prompt = past_turns(fields);
  prepend_system(fields, prompt);
  std::string question = take_string(fields, "instruction");
  const std::string input = take_string_if_any(fields, "input");
  if (!input.empty()) question += (question.empty() ? "" : "\n") + input;
  prompt.push_back(message("user", std::move(question)));
  fields["prompt"] = std::move(prompt);
  if (fields.contains("output") && fields["output"].is_array()) split_output(fields);
  rename(fields, "output", "completion");
  for (const char* name : {"chosen", "rejected", "completion"}) {
    if (is_string(fields, name)) fields[name] = answer(take_string(fields, name));
  }
}

void from_question(Json& fields) {
  rename(fields, fields.contains("question") ? "question" : "input", "instruction");
  from_alpaca(fields);
}

// A question as a string, and answers as messages that begin with it, or with the answer.
void from_ultrafeedback(Json& fields) {
  rename(fields, "instruction", "prompt");
  const std::string prompt = take_string(fields, "prompt");
  const auto is_prompt = [&](const Json& message) {
    return message["role"] == "user" && message["content"] == prompt;
  };
  bool answers_alone = true;
  for (const char* name : {"chosen", "rejected", "completion"}) {
    if (!is_messages(fields, name)) continue;
    Json messages = standard_messages(take(fields, name), name);
    if (!is_answer(messages.front())) {
      answers_alone = false;
      if (std::none_of(messages.begin(), messages.end(), is_prompt)) {
        throw BadRow{"\"prompt\" is a string that is no user's message of " + quoted(name) +
                     "; leave it out, or write it as messages"};
      }
    }
    fields[name] = std::move(messages);
  }
  if (answers_alone) {
    Json messages = Json::array();
    prepend_system(fields, messages);
    messages.push_back(message("user", prompt));
    fields["prompt"] = std::move(messages);
  } else if (fields.contains("completion")) {
    split_answer(fields, take(fields, "completion"), "completion");
  }
}

constexpr std::string_view kHuman = "\n\nHuman:";
constexpr std::string_view kAssistant = "\n\nAssistant:";

// Dialogues as strings: the prompt goes up to the last turn of the assistant that both begin alike.
void from_hh(Json& fields) {
  const std::string chosen = take_string(fields, "chosen");
  const std::string rejected = take_string(fields, "rejected");
  const auto parting = std::mismatch(chosen.begin(), chosen.end(), rejected.begin(), rejected.end()).first;
  const std::string_view common(chosen.begin(), parting);
  const size_t turn = common.rfind(kAssistant);
  if (turn == std::string_view::npos)
    throw BadRow{R"("chosen" and "rejected" have no common beginning up to "\n\nAssistant:")"};
  const size_t boundary = turn + kAssistant.size();
  fields["prompt"] = chosen.substr(0, boundary);
  fields["chosen"] = chosen.substr(boundary);
  fields["rejected"] = rejected.substr(boundary);
}

// A labelled conversation may stand in the place of its last answer.
void from_labels(Json& fields) {
  if (fields.contains("prompt") || !is_messages(fields, "completion")) return;
  Json conversation = standard_messages(take(fields, "completion"), "completion");
  if (is_answer(conversation.front())) {
    throw BadRow{
        "\"prompt\" is missing, and \"completion\" is no conversation that has it: it begins with the "
        "assistant"};
  }
  split_answer(fields, std::move(conversation), "completion");
}

void keep_fields(Json&) {}

struct LayoutRule {
  Layout layout;
  const char* rows;  // that it is of
  bool (*is_of)(const Json& fields);
  void (*rewrite)(Json& fields);
};

// Of messages that are not standard yet.
bool begins_with_question(const Json& messages) {
  if (!messages.is_array() || messages.empty() || !messages[0].is_object()) return false;
  const Json& first = messages[0];
  const auto role = first.contains("role") ? first.find("role") : first.find("from");
  constexpr std::array<std::string_view, 4> kQuestions = {"user", "human", "system", "developer"};
  return role != first.end() && role->is_string() &&
         std::find(kQuestions.begin(), kQuestions.end(), role->get_ref<const std::string&>()) !=
             kQuestions.end();
}
bool has_pair(const Json& fields) { return fields.contains("chosen") && fields.contains("rejected"); }
bool has_label(const Json& fields) { return fields.contains("label") || fields.contains("kto_tag"); }
bool has_answers(const Json& fields) { return has_pair(fields) || fields.contains("completion"); }

// Data sets repeat an answer with its question under other names: what is whole without these does not need
// them.
bool is_whole(const Json& fields) {
  if (fields.contains("prompt")) return has_answers(fields);
  return has_pair(fields) && begins_with_question(fields["chosen"]);
}
bool is_conversation(const Json& fields, const char* name) {
  return is_messages(fields, name) && !is_whole(fields) && (has_pair(fields) || has_label(fields));
}

// The first that takes a row has it.
constexpr std::array<LayoutRule, 8> kLayouts = {{
    {Layout::kUltrafeedback,
     "`prompt` or `instruction` as a string beside `chosen` and `rejected` (or `completion` and `label`) as "
     "messages, which begin with that prompt or are the answer alone",
     [](const Json& fields) {
       return (is_string(fields, "prompt") ||
               (is_string(fields, "instruction") && !fields.contains("prompt"))) &&
              (fields.contains("completion")
                   ? is_messages(fields, "completion")
                   : is_messages(fields, "chosen") && is_messages(fields, "rejected"));
     },
     from_ultrafeedback},
    {Layout::kSharegpt,
     "`conversations`, `system`, and `chosen` and `rejected`, or `label` or `kto_tag` of the last message",
     [](const Json& fields) { return is_conversation(fields, "conversations"); }, from_sharegpt},
    {Layout::kMessages,
     "`messages` in the place of `conversations`; or `chosen_messages` and `rejected_messages`",
     [](const Json& fields) {
       return is_conversation(fields, "messages") ||
              (!has_answers(fields) && fields.contains("chosen_messages") &&
               fields.contains("rejected_messages"));
     },
     from_messages},
    {Layout::kAlpaca,
     "`instruction`, `input`, `system`, `history`, and `chosen` and `rejected`, or `output` as a list of "
     "both, or `output` and `label` or `kto_tag`",
     [](const Json& fields) {
       return fields.contains("instruction") && !is_whole(fields) &&
              (has_answers(fields) || fields.contains("output"));
     },
     from_alpaca},
    {Layout::kHh,
     "`chosen` and `rejected` as strings, `\"\\n\\nHuman: ...\\n\\nAssistant: ...\"`: the prompt goes up to "
     "the last `Assistant:` that both begin alike",
     [](const Json& fields) {
       return !fields.contains("prompt") && is_string(fields, "chosen") && is_string(fields, "rejected") &&
              fields["chosen"].get_ref<const std::string&>().find(kHuman) != std::string::npos;
     },
     from_hh},
    {Layout::kQuestion,
     "`question`, or `input`, and `system`, and `chosen` and `rejected`, or `completion` and `label`, as "
     "strings",
     [](const Json& fields) {
       return !fields.contains("prompt") && (is_string(fields, "question") || is_string(fields, "input")) &&
              (is_string(fields, "completion")
                   ? has_label(fields)
                   : is_string(fields, "chosen") && is_string(fields, "rejected"));
     },
     from_question},
    {Layout::kLabels,
     "`prompt`, `completion`, `label`; or the prompt's messages in front of the completion's, which is the "
     "last one then",
     [](const Json& fields) { return fields.contains("completion"); }, from_labels},
    {Layout::kPairs,
     "`prompt`, `chosen`, `rejected`; the prompt may be left out where both answers begin with it",
     [](const Json&) { return true; }, keep_fields},
}};

}  // namespace

std::vector<KnownInput> known_layouts() {
  std::vector<KnownInput> all;
  for (const LayoutRule& rule : kLayouts) {
    const std::string name = enum_name(rule.layout);
    all.push_back({name, rule.rows, "Layouts.AreRecognisedAndRead/" + name + "_"});
  }
  return all;
}

bool is_row_field(const std::string& name) {
  return std::find(kFields.begin(), kFields.end(), name) != kFields.end();
}

std::string row_field_names() {
  std::string names;
  for (const std::string_view name : kFields) names += (names.empty() ? "" : ", ") + std::string(name);
  return names;
}

void drop_null_fields(Json& fields) {
  for (auto field = fields.begin(); field != fields.end();)
    field = field->is_null() ? fields.erase(field) : std::next(field);
}

std::vector<std::string> rename_columns(const std::map<std::string, std::string>& columns, Json& fields) {
  std::map<std::string, Json> renamed;
  for (const auto& [ours, theirs] : columns) {
    if (fields.contains(theirs)) renamed.emplace(ours, fields[theirs]);
  }
  for (const auto& [ours, value] : renamed) fields.erase(columns.at(ours));
  std::vector<std::string> found;
  for (auto& [ours, value] : renamed) {
    fields[ours] = std::move(value);
    found.push_back(ours);
  }
  return found;
}

Layout recognise_layout(const Json& fields) {
  const auto rule = std::find_if(kLayouts.begin(), kLayouts.end(),
                                 [&](const LayoutRule& entry) { return entry.is_of(fields); });
  return rule->layout;
}

void standardize_row(Layout layout, Json& fields) {
  const auto rule = std::find_if(kLayouts.begin(), kLayouts.end(),
                                 [&](const LayoutRule& entry) { return entry.layout == layout; });
  if (!fields.contains("label")) rename(fields, "kto_tag", "label");
  rule->rewrite(fields);
}

}  // namespace ddro::data
