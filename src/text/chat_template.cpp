#include "ddro/text/chat_template.h"

#include <algorithm>
#include <array>
#include <optional>

#include "ddro/base/error.h"
#include "ddro/base/files.h"
#include "ddro/base/utf8.h"
#include "text/jinja/interpreter.h"
#include "text/jinja/limits.h"
#include "text/jinja/parser.h"

namespace ddro::text {
namespace {

using jinja::Value;

// A template may build a control token around one of these (`<|` + role + `|>`), so they count as the
// template's.
constexpr std::array<std::string_view, 8> kOrdinaryRoles = {"system",   "user",  "assistant", "tool",
                                                            "function", "model", "developer", "ipython"};

// Json to values. Strings are checked, and marked if they come from the messages.
class Converter {
 public:
  Converter(jinja::Machine& machine, bool marked) : machine_(machine), marked_(marked) {}

  Value convert(const Json& json, int depth = 1) const {
    if (depth > jinja::kMaxDataDepth) {
      machine_.fail("the messages are nested deeper than " + std::to_string(jinja::kMaxDataDepth) +
                    " levels");
    }
    machine_.charge(1);
    switch (json.type()) {
      case Json::value_t::boolean:
        return {json.get<bool>()};
      case Json::value_t::number_integer:
        return {json.get<std::int64_t>()};
      case Json::value_t::number_unsigned:
        return unsigned_number(json.get<std::uint64_t>());
      case Json::value_t::number_float:
        return {json.get<double>()};
      case Json::value_t::string:
        return text(json.get_ref<const std::string&>());
      case Json::value_t::array:
        return list(json, depth);
      case Json::value_t::object:
        return dict(json, depth);
      default:
        return {};
    }
  }

  Value messages(const Json& json) const {
    std::vector<Value> items;
    items.reserve(json.size());
    for (const Json& message : json)
      items.push_back(message.is_object() ? this->message(message) : convert(message));
    return machine_.list(std::move(items));
  }

 private:
  Value unsigned_number(std::uint64_t number) const {
    if (number > static_cast<std::uint64_t>(INT64_MAX)) machine_.fail("an integer does not fit in 64 bits");
    return {static_cast<std::int64_t>(number)};
  }

  Value text(const std::string& text, bool marked) const {
    if (find_invalid_utf8(text) != std::string_view::npos) {
      machine_.fail("\"" + printable(text, 60) + "\" is not valid UTF-8");
    }
    return machine_.text(jinja::make_text(text, marked));
  }
  Value text(const std::string& text) const { return this->text(text, marked_); }

  Value list(const Json& json, int depth) const {
    std::vector<Value> items;
    for (const Json& item : json) items.push_back(convert(item, depth + 1));
    return machine_.list(std::move(items));
  }

  Value dict(const Json& json, int depth) const {
    jinja::Dict dict;
    for (const auto& [key, value] : json.get_ref<const Json::object_t&>())
      dict.set(machine_, text(key), convert(value, depth + 1));
    return machine_.dict(std::move(dict));
  }

  Value message(const Json& json) const {
    jinja::Dict dict;
    for (const auto& [key, value] : json.get_ref<const Json::object_t&>()) {
      const bool ordinary = key == "role" && value.is_string() &&
                            std::find(kOrdinaryRoles.begin(), kOrdinaryRoles.end(),
                                      value.get_ref<const std::string&>()) != kOrdinaryRoles.end();
      dict.set(machine_, text(key),
               ordinary ? text(value.get_ref<const std::string&>(), false) : convert(value, 3));
    }
    return machine_.dict(std::move(dict));
  }

  jinja::Machine& machine_;
  bool marked_;
};

}  // namespace

struct ChatTemplate::Program {
  std::string source;
  jinja::Program program;
};

ChatTemplate::ChatTemplate(std::string_view source, std::string name)
    : program_(std::make_unique<Program>()) {
  if (const size_t invalid = find_invalid_utf8(source); invalid != std::string_view::npos) {
    throw model_error("[" + name + "] not valid UTF-8 at byte " + std::to_string(invalid));
  }
  program_->source = source;
  program_->program = jinja::parse(source, name);
}

ChatTemplate::~ChatTemplate() = default;
ChatTemplate::ChatTemplate(ChatTemplate&&) noexcept = default;

RenderedText ChatTemplate::render(const Json& messages, const RenderOptions& options) const {
  jinja::Interpreter interpreter(program_->program, options.now);
  if (!messages.is_array()) interpreter.fail("the messages are no list");
  const Value converted =
      Converter(interpreter, true).messages(messages);  // bad ones are refused, used or not
  const auto variable = [&](const std::string& name) -> std::optional<Value> {
    if (name == "messages") return converted;
    if (name == "add_generation_prompt") return Value{options.add_generation_prompt};
    const auto given = options.variables.find(name);
    if (given != options.variables.end() && !given->is_null()) {
      return Converter(interpreter, false).convert(*given);
    }
    // transformers passes these two as None when they are not given.
    if (name == "tools" || name == "documents") return Value();
    return std::nullopt;
  };
  jinja::MarkedText out = interpreter.run(variable);
  return {std::move(out.text), std::move(out.marks)};
}

const std::string& ChatTemplate::source() const { return program_->source; }

const std::string& ChatTemplate::name() const { return program_->program.name; }

bool ChatTemplate::uses_date() const { return program_->program.uses_date; }

std::unique_ptr<ChatTemplate> load_chat_template(const std::filesystem::path& model_folder) {
  const std::filesystem::path jinja_file = model_folder / "chat_template.jinja";
  if (std::filesystem::exists(jinja_file)) {
    const std::string source = read_file(jinja_file, ErrorKind::kModel, jinja::kMaxSourceBytes);
    return std::make_unique<ChatTemplate>(source, printable(jinja_file.string(), 400));
  }
  const std::filesystem::path config_file = model_folder / "tokenizer_config.json";
  if (!std::filesystem::exists(config_file)) return nullptr;
  const Json config = read_json_file(config_file.string(), ErrorKind::kModel);
  const std::string where = printable(config_file.string(), 400) + ": chat_template";
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

}  // namespace ddro::text
