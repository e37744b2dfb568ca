#include "ddro/text/model_text.h"

#include "ddro/base/error.h"
#include "ddro/base/files.h"
#include "ddro/base/hash.h"
#include "text/end_tokens.h"
#include "text/load_tokenizer.h"

namespace ddro::text {
namespace {

void load_template(const std::filesystem::path& folder, const std::optional<std::string>& file,
                   ModelText& result) {
  if (file) {
    result.chat_template =
        std::make_unique<ChatTemplate>(read_file(*file, ErrorKind::kInput, jinja::kMaxSourceBytes), *file);
    const auto own = load_chat_template(folder);
    if (!own || own->source() != result.chat_template->source())
      result.new_chat_template = result.chat_template->source();
  } else {
    result.chat_template = load_chat_template(folder);
  }
  if (!result.chat_template) return;
  Hasher hasher;
  hasher.update(result.chat_template->source());
  for (const auto& [name, source] : read_additional_templates(folder))
    hasher.update("\n" + name + "\n" + source);
  result.template_hash = hasher.hex();
}

bool has_end_ids(const std::filesystem::path& folder) {
  return std::filesystem::exists(folder / "generation_config.json") ||
         std::filesystem::exists(folder / "config.json");
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
  const auto folder_with = [&](bool (*is_there)(const std::filesystem::path&)) {
    return is_there(model_folder) ? model_folder : base_folder.value_or(model_folder);
  };
  const std::filesystem::path text_folder = folder_with(has_tokenizer);
  ModelText result;
  LoadedTokenizer loaded = load_tokenizer_folder(text_folder);
  result.tokenizer = std::move(loaded.tokenizer);
  result.tokenizer_hash = std::move(loaded.hash);
  result.tokenizer_kind = std::move(loaded.kind);
  result.template_variables = std::move(loaded.named_tokens);
  load_template(text_folder, chat_template_file, result);
  result.end_ids = read_end_ids(folder_with(has_end_ids), *result.tokenizer, result.template_variables);
  if (eos_token) set_end_token(*eos_token, result);
  if (result.end_ids.empty()) {
    throw model_error("[" + printable(model_folder.string(), 400) +
                      "] no end token; expected eos_token_id in generation_config.json or config.json, or "
                      "eos_token in tokenizer_config.json; model.eos_token names one");
  }
  return result;
}

}  // namespace ddro::text
