#include "ddro/data/text_source.h"

#include "data/messages.h"
#include "ddro/data/dataset.h"

namespace ddro::data {
namespace {

// Whether the template reads the parts of a content, rather than printing the list of them or failing on it.
bool takes_parts(const text::ModelText& text, std::time_t now) {
  const std::string written = "some words";
  const Json part = {{"type", "text"}, {"text", written}};
  const Json message = {{"role", "user"}, {"content", Json::array({part})}};
  try {
    const std::string rendered = text.chat_template->render(Json::array({message}), {true, now, text.template_variables}).text;
    return rendered.find(written) != std::string::npos && rendered.find("'type'") == std::string::npos;
  } catch (const Error&) {
    return false;
  }
}

}  // namespace


TextSource make_text_source(const text::ModelText& text, const DataOptions& options, std::time_t now) {
  TextSource source;
  source.tokenizer = text.tokenizer.get();
  source.end_ids = text.end_ids;
  source.template_name = options.chat_template.value_or("the model folder's own");
  if (text.chat_template) {
    source.render = [&text, now, takes_parts = takes_parts(text, now)](const Json& messages,
                                                                       bool add_generation_prompt) {
      const text::RenderOptions render_options{add_generation_prompt, now, text.template_variables};
      if (takes_parts || !has_parts(messages)) return text.chat_template->render(messages, render_options);
      return text.chat_template->render(with_joined_parts(messages), render_options);
    };
  }
  return source;
}

Dataset load_dataset(const std::vector<std::string>& files, const DataOptions& options,
                     const text::ModelText& text, std::time_t now) {
  return load_dataset(files, options, make_text_source(text, options, now));
}

}  // namespace ddro::data
