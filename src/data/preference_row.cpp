#include "ddro/data/preference_row.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>
#include <string_view>
#include <utility>

#include "data/layouts.h"
#include "data/messages.h"
#include "data/template_kwargs.h"

namespace ddro::data {
namespace {

constexpr std::array<const char*, 4> kPairedFields = {"chosen", "rejected", "chosen_finished",
                                                      "rejected_finished"};
constexpr std::array<const char*, 3> kUnpairedFields = {"completion", "label", "finished"};
constexpr std::array<const char*, 2> kOtherPairedFields = {"chosen_messages", "rejected_messages"};
constexpr std::array<const char*, 2> kLabelFields = {"label", "kto_tag"};
constexpr std::array<const char*, 3> kConversationFields = {"completion", "conversations", "messages"};
constexpr std::array<const char*, 2> kCommonFields = {"prompt", "weight"};
// A greeting is often answered by the same greeting; dialogues have line breaks.
constexpr size_t kShortPromptBytes = 24;
// Names under which data sets have the question of answers that are strings.
constexpr std::array<const char*, 8> kQuestionFields = {"question",    "query",    "problem",       "input",
                                                        "instruction", "messages", "conversations", "system"};
constexpr double kMinWeight = 1e-9;
constexpr double kMaxWeight = 1e9;

bool is_messages(const Content& content) { return std::holds_alternative<Json>(content); }

bool is_short(const std::string& prompt) {
  return prompt.size() < kShortPromptBytes && prompt.find('\n') == std::string::npos;
}

bool is_inside_character(char byte) { return (static_cast<unsigned char>(byte) & 0xC0) == 0x80; }

// Of contents of one form.
bool begins_with(const Content& content, const Content& beginning) {
  if (!is_messages(content))
    return std::get<std::string>(content).starts_with(std::get<std::string>(beginning));
  const Json& messages = std::get<Json>(content);
  const Json& first = std::get<Json>(beginning);
  return messages.size() >= first.size() &&
         std::equal(first.begin(), first.end(), messages.begin(), same_message);
}
size_t size_of(const Content& content) {
  return is_messages(content) ? std::get<Json>(content).size() : std::get<std::string>(content).size();
}
void cut_off(Content& content, size_t size) {
  if (!is_messages(content)) {
    std::get<std::string>(content).erase(0, size);
  } else {
    Json& messages = std::get<Json>(content);
    messages.erase(messages.begin(), messages.begin() + static_cast<std::ptrdiff_t>(size));
  }
}

// true, false, and what data sets write for them.
std::optional<bool> as_boolean(const Json& value) {
  if (value.is_boolean()) return value.get<bool>();
  for (const bool boolean : {false, true}) {
    if (value.is_number() && value == Json(boolean ? 1 : 0)) return boolean;
    for (const char* text : {boolean ? "true" : "false", boolean ? "True" : "False"}) {
      if (value.is_string() && value.get_ref<const std::string&>() == text) return boolean;
    }
  }
  return std::nullopt;
}

class RowParser {
 public:
  RowParser(Json fields, const std::string& where, const RowFormat& format)
      : fields_(std::move(fields)), format_(format) {
    row_.where = where;
    if (!fields_.is_object())
      refuse("a row is a JSON object; got " + shown(fields_) + ", expected one object a row");
    collect_null_fields();
    drop_null_fields(fields_);
    row_.found_columns = rename_columns(format.columns, fields_);
  }

  PreferenceRow parse_prompt() {
    const Layout layout = layout_of_row();
    if (layout != Layout::kPairs && layout != Layout::kLabels) return parse();
    if (!fields_.contains("prompt")) refuse("\"prompt\" is missing; expected a string or a list of messages");
    row_.prompt = content("prompt");
    read_template_kwargs();
    return std::move(row_);
  }

  PreferenceRow parse() {
    if (format_.unlabelled_is_preferred && is_unlabelled()) {
      fields_["label"] = true;
      row_.has_label = false;
    }
    row_.layout = layout_of_row();
    standardize();
    row_.kind = kind();
    if (row_.kind == RowKind::kPaired) {
      parse_paired();
    } else {
      parse_unpaired();
    }
    row_.weight = weight();
    read_template_kwargs();
    collect_ignored_fields();
    return std::move(row_);
  }

 private:
  [[noreturn]] void refuse(const std::string& problem) const {
    throw input_error("[data] " + row_.where + ": " + problem);
  }

  Layout layout_of_row() const {
    return format_.layout == Layout::kAuto ? recognise_layout(fields_) : format_.layout;
  }

  void standardize() {
    try {
      standardize_row(row_.layout, fields_);
    } catch (const BadRow& bad) {
      refuse(bad.problem +
             (format_.layout == Layout::kAuto ? "" : "; data.layout is " + enum_name(row_.layout)));
    }
  }

  // Strings have no template.
  void read_template_kwargs() {
    if (!is_messages(row_.prompt)) return;
    try {
      row_.template_kwargs = take_template_kwargs(fields_);
    } catch (const BadRow& bad) {
      refuse(bad.problem);
    }
  }

  template <size_t N>
  const char* first_present(const std::array<const char*, N>& names) const {
    for (const char* name : names) {
      if (fields_.contains(name)) return name;
    }
    return nullptr;
  }

  // Whether all that the row misses is the label.
  bool is_unlabelled() const {
    if (first_present(kPairedFields) || first_present(kOtherPairedFields) || first_present(kLabelFields))
      return false;
    const auto output = fields_.find("output");
    return first_present(kConversationFields) ||
           (fields_.contains("instruction") && output != fields_.end() && output->is_string());
  }

  RowKind kind() const {
    const char* paired = first_present(kPairedFields);
    const char* unpaired = first_present(kUnpairedFields);
    if (paired && unpaired) {
      refuse(quoted(paired) + " belongs to paired rows and " + quoted(unpaired) +
             " to unpaired ones; a row is of one kind");
    }
    if (!paired && is_unlabelled()) require("label");
    if (!paired && !unpaired) {
      refuse(
          "neither a paired nor an unpaired row; expected prompt, chosen and rejected, or prompt, completion "
          "and label");
    }
    if (format_.layout == (paired ? Layout::kLabels : Layout::kPairs)) {
      refuse(std::string(paired ? "a paired" : "an unpaired") + " row, but data.layout is " +
             enum_name(format_.layout));
    }
    return paired ? RowKind::kPaired : RowKind::kUnpaired;
  }

  void parse_paired() {
    if (fields_.contains("prompt")) row_.prompt = content("prompt");
    row_.chosen = completion("chosen", "chosen_finished");
    row_.rejected = completion("rejected", "rejected_finished");
    require_one_form("chosen", row_.chosen.content, "rejected", row_.rejected.content);
    if (fields_.contains("prompt")) {
      require_one_form("prompt", row_.prompt, "chosen", row_.chosen.content);
      cut_repeated_prompt({{"chosen", &row_.chosen.content}, {"rejected", &row_.rejected.content}});
    } else if (is_messages(row_.chosen.content)) {
      split_common_messages();
    } else {
      split_common_text();
    }
    require_completion("chosen", row_.chosen.content);
    require_completion("rejected", row_.rejected.content);
  }

  void parse_unpaired() {
    row_.prompt = content("prompt");
    row_.chosen = completion("completion", "finished");
    require_one_form("prompt", row_.prompt, "completion", row_.chosen.content);
    cut_repeated_prompt({{"completion", &row_.chosen.content}});
    require_completion("completion", row_.chosen.content);
    require("label");
    row_.label = boolean("label");
  }

  void require(const char* name) const {
    if (fields_.contains(name)) return;
    refuse(quoted(name) + " is missing; " +
           (row_.kind == RowKind::kPaired && std::string_view(name) != "label"
                ? "a paired row needs prompt, chosen and rejected"
                : "an unpaired row needs prompt, completion and label") +
           (std::string_view(name) == "label" ? ", of which objective.loss_type sft needs no label" : ""));
  }

  bool boolean(const char* name) const {
    const Json& value = fields_[name];
    const std::optional<bool> boolean = as_boolean(value);
    if (!boolean)
      refuse(quoted(name) + " is not a boolean; got " + shown(value) + ", expected true or false");
    return *boolean;
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

  // Behind a prompt of messages a string is what the assistant's next one says.
  Completion completion(const char* name, const char* finished_name) {
    Content given = content(name);
    if (const auto* text = std::get_if<std::string>(&given); text && is_messages(row_.prompt)) {
      if (text->empty()) refuse(quoted(name) + " is empty");
      given = answer(*text);
    }
    return {std::move(given), fields_.contains(finished_name) ? boolean(finished_name) : true};
  }

  // Takes the field's value; that it was there stays known.
  Content content(const char* name) {
    require(name);
    Json& value = fields_[name];
    if (value.is_string()) return std::move(value.get_ref<std::string&>());
    try {
      return standard_messages(std::move(value), name);
    } catch (const BadRow& bad) {
      refuse(bad.problem);
    }
  }

  void require_one_form(const char* a_name, const Content& a, const char* b_name, const Content& b) const {
    if (is_messages(a) == is_messages(b)) return;
    const char* strings = is_messages(a) ? b_name : a_name;
    const char* messages = is_messages(a) ? a_name : b_name;
    refuse(quoted(strings) + " is a string but " + quoted(messages) +
           " a list of messages; expected one form for the whole row");
  }

  // An answer that is the prompt and no more may be meant so, unless another one goes on.
  void cut_repeated_prompt(const std::vector<std::pair<const char*, Content*>>& answers) {
    const size_t size = size_of(row_.prompt);
    const auto repeats = [&](const auto& answer) { return begins_with(*answer.second, row_.prompt); };
    const auto goes_on = [&](const auto& answer) { return size_of(*answer.second) > size; };
    if (size == 0 || !std::all_of(answers.begin(), answers.end(), repeats) ||
        std::none_of(answers.begin(), answers.end(), goes_on)) {
      return;
    }
    if (!is_messages(row_.prompt) && is_short(std::get<std::string>(row_.prompt))) {
      row_.prompt_split = PromptSplit::kRepetitionKept;
      return;
    }
    row_.prompt_split = PromptSplit::kRepetitionCut;
    for (const auto& [name, content] : answers) {
      cut_off(*content, size);
      if (size_of(*content) == 0) refuse(quoted(name) + " is empty behind the prompt that it repeats");
    }
  }

  [[noreturn]] void refuse_parting(const std::string& problem) const {
    refuse("\"prompt\" is missing, and \"chosen\" and \"rejected\" " + problem);
  }

  // A completion begins with the assistant: where the two part at another's turn, the turns before it that
  // both have are theirs.
  void split_common_messages() {
    Json& chosen = std::get<Json>(row_.chosen.content);
    Json& rejected = std::get<Json>(row_.rejected.content);
    const size_t most = std::min(chosen.size(), rejected.size()) - 1;
    size_t common = 0;
    while (common < most && same_message(chosen[common], rejected[common])) ++common;
    if (common == 0) refuse_parting("have no common beginning that could be it");
    while (common > 0 && !(is_answer(chosen[common]) && is_answer(rejected[common]))) --common;
    if (common == 0)
      refuse_parting("have no common beginning behind which both go on with a message of the assistant");
    row_.prompt = Json(Json::array_t(chosen.begin(), chosen.begin() + static_cast<std::ptrdiff_t>(common)));
    cut_off(row_.chosen.content, common);
    cut_off(row_.rejected.content, common);
  }

  void split_common_text() {
    const std::string& chosen = std::get<std::string>(row_.chosen.content);
    const std::string& rejected = std::get<std::string>(row_.rejected.content);
    refuse_question_elsewhere();
    const auto parting = std::mismatch(chosen.begin(), chosen.end(), rejected.begin(), rejected.end()).first;
    auto common = static_cast<size_t>(parting - chosen.begin());
    if (common == std::min(chosen.size(), rejected.size()))
      refuse_parting("part nowhere: one is the beginning of the other, and would be empty behind it");
    while (common > 0 && is_inside_character(chosen[common])) --common;
    if (common > 0 && chosen[common - 1] == ' ') --common;
    if (common == 0) refuse_parting("have no common beginning that could be it");
    row_.prompt = chosen.substr(0, common);
    row_.prompt_split = PromptSplit::kCommonText;
    cut_off(row_.chosen.content, common);
    cut_off(row_.rejected.content, common);
  }

  // Answers to one question often begin alike.
  void refuse_question_elsewhere() const {
    const char* name = first_present(kQuestionFields);
    if (!name) return;
    refuse("\"prompt\" is missing, and " + quoted(name) +
           " may be it; name its field in data.columns, as in {question: " + std::string(name) +
           "} for a chat, or {prompt: " + std::string(name) + "} for text as it is");
  }

  void require_completion(const char* name, const Content& content) const {
    if (!is_messages(content)) {
      if (std::get<std::string>(content).empty()) refuse(quoted(name) + " is empty");
      return;
    }
    const Json& messages = std::get<Json>(content);
    for (const Json* message : {&messages.front(), &messages.back()}) {
      if (is_answer(*message)) continue;
      refuse(quoted(name) + (message == &messages.front() ? " begins" : " ends") + " with a message of the " +
             printable((*message)["role"].get<std::string>()) + ", expected one of the assistant");
    }
    if (!has_tool_calls(messages.back()) && is_empty_content(messages.back()["content"]))
      refuse(quoted(name) + " is empty");
  }

  // They are said to be ignored, as others are.
  void collect_null_fields() {
    for (const auto& [name, value] : fields_.items()) {
      if (value.is_null() && !is_row_field(name)) row_.ignored_fields.push_back(name);
    }
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
  const RowFormat& format_;
  PreferenceRow row_;
};

}  // namespace

PreferenceRow parse_row(Json fields, const std::string& where, const RowFormat& format) {
  return RowParser(std::move(fields), where, format).parse();
}

PreferenceRow parse_prompt(Json fields, const std::string& where, const RowFormat& format) {
  return RowParser(std::move(fields), where, format).parse_prompt();
}

}  // namespace ddro::data
