#include "ddro/data/text_source.h"

#include "ddro/data/dataset.h"

namespace ddro::data {

TextSource make_text_source(const text::ModelText& text, const DataOptions& options, std::time_t now) {
  TextSource source;
  source.tokenizer = text.tokenizer.get();
  source.end_ids = text.end_ids;
  source.template_name = options.chat_template.value_or("the model folder's own");
  if (text.chat_template) {
    source.render = [&text, now](const Json& messages, bool add_generation_prompt) {
      return text.chat_template->render(messages, {add_generation_prompt, now, text.template_variables});
    };
  }
  return source;
}

Dataset load_dataset(const std::vector<std::string>& files, const DataOptions& options,
                     const text::ModelText& text, std::time_t now) {
  return load_dataset(files, options, make_text_source(text, options, now));
}

}  // namespace ddro::data
