#include "text/end_tokens.h"

#include <algorithm>

#include "ddro/base/error.h"
#include "ddro/base/log.h"
#include "ddro/base/utf8.h"

namespace ddro::text {
namespace {

struct EndIds {
  std::string source;
  std::vector<TokenId> ids;
};

Json read_if_there(const gguf::ModelFiles& files, const std::string& name) {
  if (!files.has(name)) return Json::object();
  Json json = parse_json(files.read(name), files.place(name), ErrorKind::kModel);
  if (!json.is_object()) throw model_error("[" + files.place(name) + "] expected an object");
  return json;
}

TokenId read_id(const Json& value, const std::string& where, const Tokenizer& tokenizer) {
  const bool number = value.is_number_unsigned() &&
                      value.get<std::uint64_t>() < static_cast<std::uint64_t>(tokenizer.id_limit());
  const TokenId id = number ? value.get<TokenId>() : -1;
  if (id < 0 || tokenizer.token_of(id).empty()) {
    throw model_error("[" + where + "] eos_token_id: got " + printable(value.dump(), 40) +
                      ", expected the id of a token");
  }
  return id;
}

EndIds read_file_ids(const gguf::ModelFiles& files, const std::string& name, const Tokenizer& tokenizer) {
  const std::string where = files.place(name);
  const Json json = read_if_there(files, name);
  EndIds result{name, {}};
  const auto value = json.find("eos_token_id");
  if (value == json.end() || value->is_null()) return result;
  if (!value->is_array()) {
    result.ids.push_back(read_id(*value, where, tokenizer));
    return result;
  }
  for (const Json& id : *value) {
    const TokenId number = read_id(id, where, tokenizer);
    if (std::find(result.ids.begin(), result.ids.end(), number) == result.ids.end())
      result.ids.push_back(number);
  }
  return result;
}

std::string write_ids(const EndIds& end) {
  std::string text = end.source + " says";
  for (const TokenId id : end.ids) text += " " + std::to_string(id);
  return text;
}

}  // namespace

std::vector<TokenId> read_end_ids(const gguf::ModelFiles& files, const Tokenizer& tokenizer,
                                  const Json& named_tokens) {
  std::vector<EndIds> given = {read_file_ids(files, "generation_config.json", tokenizer),
                               read_file_ids(files, "config.json", tokenizer)};
  const auto name = named_tokens.find("eos_token");
  if (name != named_tokens.end() && name->is_string()) {
    const TokenId id = tokenizer.id_of(name->get<std::string>());
    given.push_back({"the tokenizer", id < 0 ? std::vector<TokenId>{} : std::vector<TokenId>{id}});
  }
  std::erase_if(given, [](const EndIds& end) { return end.ids.empty(); });
  if (given.empty()) return {};
  const auto is_used = [&](TokenId id) {
    return std::find(given[0].ids.begin(), given[0].ids.end(), id) != given[0].ids.end();
  };
  for (size_t i = 1; i < given.size(); ++i) {
    if (std::all_of(given[i].ids.begin(), given[i].ids.end(), is_used)) continue;
    log_warning("[" + printable(files.model().string(), 400) + "] end tokens differ: " + write_ids(given[0]) +
                ", " + write_ids(given[i]) + "; the first is used");
    break;
  }
  return given[0].ids;
}

TokenId find_end_id(const std::string& text, const Tokenizer& tokenizer) {
  const TokenId id = tokenizer.id_of(text);
  // Behind a letter, so that what a tokenizer puts in front of a text does not count.
  const bool is_one = id >= 0 && find_invalid_utf8(text) == std::string::npos &&
                      tokenizer.encode("a" + text, {}, 1).ids.back() == id;
  if (!is_one) {
    throw input_error("[config] model.eos_token: got \"" + printable(text, 60) +
                      "\", expected the text of one token of the model's tokenizer");
  }
  return id;
}

}  // namespace ddro::text
