#include "ddro/data/text_source.h"

#include "data/messages.h"
#include "ddro/data/dataset.h"

namespace ddro::data {
namespace {

// Whether the template reads the parts of a content, rather than printing the list of them or failing on it.
bool takes_parts(const text::ChatTemplate& chat_template, text::RenderOptions options) {
  const std::string written = "some words";
  const Json part = {{"type", "text"}, {"text", written}};
  const Json message = {{"role", "user"}, {"content", Json::array({part})}};
  options.add_generation_prompt = true;
  try {
    const std::string rendered = chat_template.render(Json::array({message}), options).text;
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
  if (!text.chat_template) return source;
  text::RenderOptions render_options;
  render_options.now = now;
  render_options.variables = text.template_variables;
  render_options.kwargs = options.chat_template_kwargs;
  const bool reads_parts = takes_parts(*text.chat_template, render_options);
  source.render = [&chat_template = *text.chat_template, reads_parts, render_options](
                      const Json& messages, bool add_generation_prompt, const Json& kwargs) {
    text::RenderOptions with_row = render_options;
    with_row.add_generation_prompt = add_generation_prompt;
    with_row.kwargs_of_messages = kwargs;
    if (reads_parts || !has_parts(messages)) return chat_template.render(messages, with_row);
    return chat_template.render(with_joined_parts(messages), with_row);
  };
  return source;
}

Dataset load_dataset(const std::vector<std::string>& files, const DataOptions& options,
                     const text::ModelText& text, std::time_t now, const IdSink& sink) {
  return load_dataset(files, options, make_text_source(text, options, now), sink);
}

}  // namespace ddro::data
