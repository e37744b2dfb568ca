#include "ddro/text/chat_template.h"

#include <algorithm>
#include <array>

#include "ddro/base/error.h"
#include "ddro/base/files.h"

namespace ddro::text {
namespace {

// A template may build a control token around one of these (`<|` + role + `|>`), so they count as the
// template's.
constexpr std::array<std::string_view, 8> kOrdinaryRoles = {"system",   "user",  "assistant", "tool",
                                                            "function", "model", "developer", "ipython"};

// A message's role lies in the message, which lies in the list of messages.
bool is_from_message(int depth, std::string_view key, std::string_view text) {
  const bool is_role = depth == 2 && key == "role";
  return !(is_role && std::find(kOrdinaryRoles.begin(), kOrdinaryRoles.end(), text) != kOrdinaryRoles.end());
}

void add_kwargs(const Json& kwargs, jinja::MarkRule is_marked, std::vector<jinja::Variable>& variables) {
  for (const auto& [name, value] : kwargs.items())
    variables.push_back({name, value.is_null() ? nullptr : &value, is_marked});
}

}  // namespace

ChatTemplate::ChatTemplate(std::string_view source, std::string name) : template_(source, std::move(name)) {}

RenderedText ChatTemplate::render(const Json& messages, const RenderOptions& options) const {
  if (!messages.is_array()) throw input_error("[" + name() + "] the messages are no list");
  const Json add_generation_prompt = options.add_generation_prompt;
  // transformers passes tools and documents as none when they are not given.
  std::vector<jinja::Variable> variables = {{"messages", &messages, is_from_message},
                                            {"add_generation_prompt", &add_generation_prompt},
                                            {"tools"},
                                            {"documents"}};
  for (const auto& [name, value] : options.variables.items()) {
    if (!value.is_null()) variables.push_back({name, &value});
  }
  add_kwargs(options.kwargs, nullptr, variables);
  add_kwargs(
      options.kwargs_of_messages, [](int, std::string_view, std::string_view) { return true; }, variables);
  jinja::RenderedText rendered = template_.render(variables, options.now);
  return {std::move(rendered.text), std::move(rendered.marks)};
}

std::map<std::string, std::string> read_additional_templates(const std::filesystem::path& model) {
  std::map<std::string, std::string> result;
  const std::filesystem::path folder = model / "additional_chat_templates";
  if (!std::filesystem::is_directory(folder)) return result;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() == ".jinja")
      result[entry.path().stem().string()] =
          read_file(entry.path(), ErrorKind::kModel, jinja::kMaxSourceBytes);
  }
  return result;
}

namespace {

// Of tokenizer_config.json: a string, or the entry named "default" of a list.
std::unique_ptr<ChatTemplate> load_configured_template(const gguf::ModelFiles& files) {
  const std::string name = "tokenizer_config.json";
  if (!files.has(name)) return nullptr;
  const Json config = parse_json(files.read(name), files.place(name), ErrorKind::kModel);
  const std::string where = files.place(name) + ": chat_template";
  if (!config.is_object() || !config.contains("chat_template")) return nullptr;
  const Json& found = config["chat_template"];
  if (found.is_null()) return nullptr;
  if (found.is_string()) return std::make_unique<ChatTemplate>(found.get_ref<const std::string&>(), where);
  if (!found.is_array()) throw model_error("[" + where + "] expected a string or a list of named templates");
  for (const Json& entry : found) {
    const bool named = entry.is_object() && entry.contains("name") && entry.contains("template") &&
                       entry["name"].is_string() && entry["template"].is_string();
    if (!named)
      throw model_error("[" + where + "] expected entries with a name and a template, both strings");
    if (entry["name"] == "default") {
      return std::make_unique<ChatTemplate>(entry["template"].get_ref<const std::string&>(), where);
    }
  }
  return nullptr;
}

}  // namespace

std::unique_ptr<ChatTemplate> load_chat_template(const gguf::ModelFiles& files) {
  const auto additional = read_additional_templates(files.model());
  if (const auto named = additional.find("default"); named != additional.end())
    return std::make_unique<ChatTemplate>(named->second,
                                          files.place("additional_chat_templates/default.jinja"));
  const std::string file = "chat_template.jinja";
  if (files.has(file))
    return std::make_unique<ChatTemplate>(files.read(file, jinja::kMaxSourceBytes), files.place(file));
  return additional.empty() ? load_configured_template(files) : nullptr;
}

}  // namespace ddro::text
