// Chat templates: what a model folder makes of a list of messages.
#pragma once

#include <cstdint>
#include <ctime>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "ddro/base/json.h"
#include "ddro/base/span.h"
#include "ddro/gguf/model_files.h"
#include "ddro/jinja/template.h"

namespace ddro::text {

struct RenderedText {
  std::string text;
  // Bytes that came from the messages rather than from the template; what cannot be told apart counts as
  // coming from the messages. The usual roles (system, user, assistant, tool, function, model, developer,
  // ipython) are not marked: templates build control tokens around them, as in '<|' + role + '|>'.
  std::vector<Span> from_messages;
};

struct RenderOptions {
  bool add_generation_prompt = false;
  std::time_t now = 0;  // what strftime_now formats (UTC)
  // Further names (bos_token, eos_token, ...): an object; null stands for an absent one, as in
  // tokenizer_config.json. As transformers does it, `tools` and `documents` are none when they are not given.
  Json variables;
  // Names that come before these, and null is none: objects, or null for no names. Strings of those that came
  // with the messages (tools, documents, ...) are marked as the messages' are.
  Json kwargs = nullptr;
  Json kwargs_of_messages = nullptr;
};

// A compiled chat template. Immutable; render may be called from several threads.
class ChatTemplate {
 public:
  // Errors as jinja::Template's.
  ChatTemplate(std::string_view source, std::string name);

  // `messages`: array of {"role", "content", ...}. Errors as jinja::Template's.
  RenderedText render(const Json& messages, const RenderOptions& options) const;

  const std::string& source() const { return template_.source(); }
  const std::string& name() const { return template_.name(); }  // as it stands in messages
  bool mentions(std::string_view name) const {
    return template_.mentions(name);
  }  // as a variable or function
  bool uses_date() const { return mentions("strftime_now"); }

 private:
  jinja::Template template_;
};

// Name -> source of a folder's additional_chat_templates/*.jinja.
std::map<std::string, std::string> read_additional_templates(const std::filesystem::path& model);

// The template of a model: that named "default" of additional_chat_templates, else
// chat_template.jinja, else, where there are no such files, tokenizer_config.json's chat_template (a string,
// or the entry named "default" of a list). Null when it has none.
std::unique_ptr<ChatTemplate> load_chat_template(const gguf::ModelFiles& files);

}  // namespace ddro::text
