#include "ddro/text/model_text.h"

#include "ddro/base/error.h"
#include "ddro/base/files.h"
#include "ddro/base/hash.h"
#include "text/end_tokens.h"
#include "text/load_tokenizer.h"

namespace ddro::text {
namespace {

void load_template(const gguf::ModelFiles& files, const std::optional<std::string>& file, ModelText& result) {
  if (file) {
    result.chat_template =
        std::make_unique<ChatTemplate>(read_file(*file, ErrorKind::kInput, jinja::kMaxSourceBytes), *file);
    const auto own = load_chat_template(files);
    if (!own || own->source() != result.chat_template->source())
      result.new_chat_template = result.chat_template->source();
  } else {
    result.chat_template = load_chat_template(files);
  }
  if (!result.chat_template) return;
  Hasher hasher;
  hasher.update(result.chat_template->source());
  for (const auto& [name, source] : read_additional_templates(files.model()))
    hasher.update("\n" + name + "\n" + source);
  result.template_hash = hasher.hex();
}

bool has_end_ids(const gguf::ModelFiles& files) {
  return files.has("generation_config.json") || files.has("config.json");
}

void set_end_token(const std::string& eos_token, ModelText& result) {
  const TokenId id = find_end_id(eos_token, *result.tokenizer);
  const Json old = result.template_variables.value("eos_token", Json());
  if (old != eos_token || result.end_ids.empty() || result.end_ids.front() != id)
    result.new_eos_token = eos_token;
  std::erase(result.end_ids, id);
  result.end_ids.insert(result.end_ids.begin(), id);
  result.template_variables["eos_token"] = eos_token;
}

}  // namespace

ModelText load_model_text(const std::filesystem::path& model_folder,
                          const std::optional<std::string>& chat_template_file,
                          const std::optional<std::string>& eos_token,
                          const std::optional<std::filesystem::path>& base_folder) {
  const gguf::ModelFiles own(model_folder), base(base_folder.value_or(model_folder));
  const gguf::ModelFiles& text_files = has_tokenizer(own) ? own : base;
  ModelText result;
  LoadedTokenizer loaded = load_tokenizer_folder(text_files);
  result.tokenizer = std::move(loaded.tokenizer);
  result.tokenizer_hash = std::move(loaded.hash);
  result.tokenizer_kind = std::move(loaded.kind);
  result.template_variables = std::move(loaded.named_tokens);
  load_template(text_files, chat_template_file, result);
  result.end_ids = read_end_ids(has_end_ids(own) ? own : base, *result.tokenizer, result.template_variables);
  if (eos_token) set_end_token(*eos_token, result);
  if (result.end_ids.empty()) {
    throw model_error("[" + printable(model_folder.string(), 400) +
                      "] no end token; expected eos_token_id in generation_config.json or config.json, or "
                      "eos_token in tokenizer_config.json; model.eos_token names one");
  }
  return result;
}

}  // namespace ddro::text
