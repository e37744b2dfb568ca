#include "text/tokenizer_config.h"

#include <algorithm>
#include <set>
#include <utility>

namespace ddro::text {
namespace {

constexpr const char* kNames[] = {"bos_token", "eos_token", "unk_token", "sep_token",
                                  "pad_token", "cls_token", "mask_token"};
constexpr const char* kAdditional = "additional_special_tokens";

constexpr const char* kConfigFile = "tokenizer_config.json";

Value read_object(const gguf::ModelFiles& files, const std::string& name) {
  if (!files.has(name)) return Value::object();
  Value json = read_large_json(files, name);
  if (!json.is_object()) throw model_error("[" + files.place(name) + "] expected an object");
  return json;
}

// A token as its text or as an object; special if it is an object.
NamedToken read_named_token(const Value& value, const std::string& name, const std::string& place) {
  NamedToken result{name, {}, value.is_object(), false};
  if (result.has_flags) {
    Value flagged = value;
    flagged["special"] = true;
    result.token = read_added_token(Component(flagged, place));
  } else if (value.is_string()) {
    result.token.content = value.get<std::string>();
    result.token.special = true;
  } else {
    throw model_error("[" + place + "] got " + value.type_name() + ", expected a token");
  }
  return result;
}

std::vector<Value> read_list(const Component& config, const char* name) {
  if (!config.has(name)) return {};
  const Value& list = config.at(name);
  if (!list.is_array()) config.refuse(std::string(name) + ": expected a list of tokens");
  return list.get<std::vector<Value>>();
}

class ConfigReader {
 public:
  explicit ConfigReader(const gguf::ModelFiles& files)
      : files_(files), json_(read_object(files, kConfigFile)) {
    result_.place = files.place(kConfigFile);
    result_.lists_added = json_.contains("added_tokens_decoder");
    if (!result_.lists_added) merge_special_tokens_map();
  }

  TokenizerConfig read() {
    const Component config(json_, result_.place);
    result_.tokenizer_class = &find_tokenizer_class(config, files_);
    read_flags(config);
    read_named(config);
    if (result_.lists_added) {
      read_listed(config.child("added_tokens_decoder"));
    } else {
      read_added_tokens_file();
    }
    return std::move(result_);
  }

 private:
  // Older folders name special tokens in a file of their own, which counts.
  void merge_special_tokens_map() {
    const Value older = read_object(files_, "special_tokens_map.json");
    for (const auto& [key, value] : older.items()) {
      if (key != kAdditional || !value.is_array()) {
        json_[key] = value;
        continue;
      }
      Value& list = json_[key];
      if (!list.is_array()) list = Value::array();
      for (const Value& token : value) {
        if (std::find(list.begin(), list.end(), token) == list.end()) list.push_back(token);
      }
    }
  }

  void read_flags(const Component& config) {
    const TokenizerClass& rules = *result_.tokenizer_class;
    const auto flag = [&](const char* name, bool absent) {
      return config.value().contains(name) ? config.flag_or(name, false) : absent;
    };
    const bool asked = config.value().contains("add_bos_token") || config.value().contains("add_eos_token");
    result_.makes_post_processor = rules.post_processing == PostProcessing::kConfig ||
                                   (rules.post_processing == PostProcessing::kWhenAsked && asked);
    result_.add_bos = flag("add_bos_token", rules.add_bos);
    result_.add_eos = flag("add_eos_token", false);
    result_.legacy = config.flag_or("legacy", true);
    result_.prefix_space = flag("add_prefix_space", true);
    result_.prefers_sentencepiece = rules.name == "LlamaTokenizer" && config.has("add_prefix_space");
    const bool is_null = config.value().contains("add_prefix_space") && !config.has("add_prefix_space");
    // Without the file nothing but tokenizer.json speaks.
    if (rules.sets_prefix_space && !is_null && files_.has(kConfigFile))
      result_.byte_level_prefix = flag("add_prefix_space", false);
  }

  void add_named(const Value& value, const std::string& name, bool is_default = false) {
    NamedToken token = read_named_token(value, name, result_.place + ": " + name);
    if (token.token.content.empty()) return;
    if (result_.tokenizer_class->flags_named && name != kAdditional) token.has_flags = true;
    token.is_default = is_default;
    result_.named.push_back(std::move(token));
  }

  void read_named(const Component& config) {
    const TokenizerClass& rules = *result_.tokenizer_class;
    for (const char* name : kNames) {
      const auto absent = std::find_if(rules.named.begin(), rules.named.end(),
                                       [&](const auto& token) { return token.first == name; });
      if (config.has(name)) {
        add_named(config.at(name), name);
      } else if (!config.value().contains(name) && absent != rules.named.end()) {
        add_named(absent->second, name, true);
      }
    }
    for (const Value& token : read_list(config, kAdditional)) add_named(token, kAdditional);
    for (const auto& [name, text] : rules.additional) {
      const std::string key(name);
      if (!config.value().contains(key)) add_named(text, kAdditional);
      if (config.has(key.c_str())) add_named(config.at(key.c_str()), kAdditional);
    }
    read_extra(config);
  }

  // Tokens of roles that the folder itself names, or a list of such without roles.
  void read_extra(const Component& config) {
    if (!config.has("extra_special_tokens")) return;
    const Value& extra = config.at("extra_special_tokens");
    if (extra.is_object()) {
      const Json config_json = parse_json(files_.read(kConfigFile), result_.place, ErrorKind::kModel);
      const Json& ordered = config_json["extra_special_tokens"];
      for (const auto& [name, token] : ordered.items()) add_named(extra.at(name), name);
    } else {
      for (const Value& token : read_list(config, "extra_special_tokens")) add_named(token, kAdditional);
    }
  }

  void read_listed(const Component& list) {
    for (const auto& [key, value] : list.value().items()) {
      const bool digits =
          !key.empty() && key.size() < 10 && key.find_first_not_of("0123456789") == std::string::npos;
      if (!digits) list.refuse("got \"" + printable(key) + "\", expected a token id");
      const TokenId id = token_id(Value(static_cast<std::uint64_t>(std::stoul(key))), list.place());
      AddedToken token = read_added_token(list.child(key.c_str()));
      token.id = id;
      result_.added.emplace(id, std::move(token));
    }
  }

  void read_added_tokens_file() {
    const std::string file = "added_tokens.json";
    const Value json = read_object(files_, file);
    for (const auto& [content, id] : json.items()) {
      AddedToken token;
      token.content = content;
      token.id = token_id(id, files_.place(file));
      token.special = std::any_of(result_.named.begin(), result_.named.end(),
                                  [&name = content](const NamedToken& t) { return t.token.content == name; });
      token.normalized = !token.special;
      result_.added[token.id] = token;
    }
  }

  const gguf::ModelFiles& files_;
  Value json_;
  TokenizerConfig result_;
};

bool has_equal(const std::vector<AddedToken>& tokens, const AddedToken& token) {
  return std::any_of(tokens.begin(), tokens.end(), [&](const AddedToken& t) { return same_token(t, token); });
}

const AddedToken* find_content(const std::vector<AddedToken>& tokens, const std::string& content) {
  // The last one, as in a table by content.
  const auto found = std::find_if(tokens.rbegin(), tokens.rend(),
                                  [&](const AddedToken& token) { return token.content == content; });
  return found == tokens.rend() ? nullptr : &*found;
}

// The first of the tokens of each text, but all that have one name.
std::vector<NamedToken> without_repeats(const std::vector<NamedToken>& named) {
  std::vector<NamedToken> result;
  std::map<std::string, std::string> first_name;
  for (const NamedToken& token : named) {
    const auto [known, added] = first_name.emplace(token.token.content, token.name);
    if (added || known->second == token.name) result.push_back(token);
  }
  return result;
}

}  // namespace

AddedToken read_added_token(const Component& entry) {
  AddedToken token;
  token.content = entry.text("content");
  if (token.content.empty()) entry.refuse("content is empty");
  token.single_word = entry.flag_or("single_word", false);
  token.lstrip = entry.flag_or("lstrip", false);
  token.rstrip = entry.flag_or("rstrip", false);
  token.special = entry.flag_or("special", false);
  token.normalized = entry.flag_or("normalized", !token.special);
  return token;
}

std::string TokenizerConfig::text_of(std::string_view name) const {
  for (const NamedToken& token : named) {
    if (token.name == name) return token.token.content;
  }
  return "";
}

Json TokenizerConfig::named_texts() const {
  Json result = Json::object();
  for (const NamedToken& token : named) {
    if (token.name == kAdditional) {
      result[token.name].push_back(token.token.content);
    } else {
      result[token.name] = token.token.content;
    }
  }
  return result;
}

TokenizerConfig read_tokenizer_config(const gguf::ModelFiles& files) { return ConfigReader(files).read(); }

std::vector<AddedToken> tokens_to_add(const TokenizerConfig& config, const std::vector<AddedToken>& present,
                                      bool of_json) {
  std::map<TokenId, AddedToken> listed = config.added;
  if (!config.lists_added && of_json) {
    for (const AddedToken& token : present) listed[token.id] = token;
  }
  std::vector<AddedToken> result;
  for (const auto& [id, token] : listed) result.push_back(token);
  // Whose flags a named token takes.
  const std::vector<AddedToken> flagged = config.lists_added ? result
                                          : of_json          ? present
                                                             : std::vector<AddedToken>{};

  std::set<std::string> known;
  for (const auto* tokens : {&present, &std::as_const(result)}) {
    for (const AddedToken& token : *tokens) known.insert(token.content);
  }
  for (NamedToken named : without_repeats(config.named)) {
    const bool takes_flags = named.name != kAdditional && !named.is_default;
    const AddedToken* flags = takes_flags ? find_content(flagged, named.token.content) : nullptr;
    if (flags != nullptr) named = {named.name, *flags, true, false};
    if (!of_json && named.name != kAdditional) named.has_flags = true;  // the slow tokenizer's are flagged
    if (named.has_flags ? !has_equal(result, named.token) : !known.contains(named.token.content))
      result.push_back(named.token);
  }
  for (AddedToken& token : result) {
    token.special =
        token.special || std::any_of(config.named.begin(), config.named.end(),
                                     [&](const auto& named) { return named.token.content == token.content; });
  }
  return result;
}

}  // namespace ddro::text
