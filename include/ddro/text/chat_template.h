// Chat templates: the Jinja that real model folders use, interpreted in bounded time and memory.
#pragma once

#include <cstdint>
#include <ctime>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "ddro/base/json.h"
#include "ddro/text/tokenizer.h"

namespace ddro::text {

struct RenderedText {
  std::string text;
  // Bytes that came from the messages rather than from the template. Marks survive slicing, trimming,
  // concatenation and the string filters; text whose origin cannot be told apart counts as coming from the
  // messages. The usual roles (system, user, assistant, tool, function, model, developer, ipython) are not
  // marked: templates build control tokens around them, as in '<|' + role + '|>'.
  std::vector<Span> from_messages;
};

struct RenderOptions {
  bool add_generation_prompt = false;
  std::time_t now = 0;  // what strftime_now formats (UTC)
  // Further names (bos_token, eos_token, tools, ...): an object; null stands for an absent one, as in
  // tokenizer_config.json. As transformers does it, `tools` and `documents` are none when they are not given.
  Json variables;
};

// A compiled template. Immutable; render may be called from several threads.
class ChatTemplate {
 public:
  // `name` stands in messages. Error(kModel) with the template's line on a syntax error or a construct,
  // filter, test or method that is not known.
  ChatTemplate(std::string_view source, std::string name);
  ~ChatTemplate();
  ChatTemplate(ChatTemplate&&) noexcept;

  // `messages`: array of {"role", "content", ...}. As transformers renders it: trim_blocks and lstrip_blocks
  // on. Error(kInput) for raise_exception (its text), a run-time error or a passed limit (output 4 MB, steps,
  // depth); Error(kModel) where the template reaches a function, method or attribute that is not known.
  RenderedText render(const Json& messages, const RenderOptions& options) const;

  const std::string& source() const;
  const std::string& name() const;  // as it stands in messages
  bool uses_date() const;           // strftime_now occurs

 private:
  struct Program;
  std::unique_ptr<Program> program_;
};

// The template of a model folder: chat_template.jinja, else tokenizer_config.json's chat_template (a string,
// or the entry named "default" of a list). Null when the folder has none.
std::unique_ptr<ChatTemplate> load_chat_template(const std::filesystem::path& model_folder);

}  // namespace ddro::text
