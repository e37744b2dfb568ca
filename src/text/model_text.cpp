#include "ddro/text/model_text.h"

#include "ddro/base/error.h"
#include "ddro/base/files.h"
#include "ddro/base/hash.h"
#include "text/end_tokens.h"

namespace ddro::text {
namespace {

// Of the files that decide which ids a text gets.
std::string hash_tokenizer(const std::filesystem::path& folder) {
  if (std::filesystem::exists(folder / "tokenizer.json")) return hash_file(folder / "tokenizer.json");
  Hasher hasher;
  for (const char* name :
       {"tokenizer.model", "tokenizer_config.json", "added_tokens.json", "special_tokens_map.json"}) {
    if (std::filesystem::exists(folder / name))
      hasher.update(std::string(name) + " " + hash_file(folder / name) + "\n");
  }
  return hasher.hex();
}

}  // namespace

ModelText load_model_text(const std::filesystem::path& model_folder,
                          const std::optional<std::string>& chat_template_file) {
  ModelText result;
  result.tokenizer = load_tokenizer(model_folder);
  result.chat_template =
      chat_template_file ? std::make_unique<ChatTemplate>(read_file(*chat_template_file), *chat_template_file)
                         : load_chat_template(model_folder);
  result.template_variables = read_named_tokens(model_folder);
  result.end_ids = read_end_ids(model_folder, *result.tokenizer, result.template_variables);
  result.tokenizer_hash = hash_tokenizer(model_folder);
  if (result.chat_template) result.template_hash = hash_text(result.chat_template->source());
  return result;
}

}  // namespace ddro::text
