#include "text/sentencepiece_files.h"

#include <algorithm>
#include <string_view>

#include "ddro/base/error.h"
#include "text/component.h"

namespace ddro::text {
namespace {

Value read_object(const std::filesystem::path& file) {
  if (!std::filesystem::exists(file)) return Value::object();
  Value json = read_large_json(file);
  if (!json.is_object()) throw model_error("[" + printable(file.string(), 400) + "] expected an object");
  return json;
}

AddedToken read_token(const Component& entry) {
  entry.expect_only({"__type", "content", "single_word", "lstrip", "rstrip", "normalized", "special"});
  AddedToken token;
  token.content = entry.text("content");
  if (token.content.empty()) entry.refuse("content is empty");
  token.single_word = entry.flag_or("single_word", false);
  token.lstrip = entry.flag_or("lstrip", false);
  token.rstrip = entry.flag_or("rstrip", false);
  token.special = entry.flag_or("special", false);
  if (token.single_word && (token.lstrip || token.rstrip)) {
    entry.refuse("single_word together with lstrip or rstrip is not supported for a tokenizer.model");
  }
  return token;
}

// A token of tokenizer_config.json that is a string or an object; an empty content if it is null or absent.
AddedToken read_named(const Component& config, const char* name, const std::string& absent) {
  AddedToken token;
  token.content = absent;
  const auto found = config.value().find(name);
  if (found != config.value().end()) {
    if (found->is_object()) {
      token = read_token(config.child(name));
    } else {
      token.content = config.text_or(name, "");
    }
  }
  token.special = true;
  return token;
}

void read_named_tokens(const Component& config, SentencePieceSettings& settings) {
  std::set<std::string> known;
  for (const AddedToken& token : settings.added) known.insert(token.content);
  const auto add = [&](const AddedToken& token) {
    if (!token.content.empty()) settings.special.insert(token.content);
    if (!token.content.empty() && known.insert(token.content).second) settings.named.push_back(token);
  };
  const std::pair<const char*, std::string> names[] = {
      {"bos_token", settings.bos}, {"eos_token", settings.eos}, {"unk_token", settings.unk},
      {"sep_token", ""},           {"pad_token", ""},           {"cls_token", ""},
      {"mask_token", ""}};
  for (const auto& [name, absent] : names) {
    const AddedToken token = read_named(config, name, absent);
    const std::string_view key = name;
    if (key == "bos_token") settings.bos = token.content;
    if (key == "eos_token") settings.eos = token.content;
    if (key == "unk_token") settings.unk = token.content;
    add(token);
  }
  if (!config.has("additional_special_tokens")) return;
  const Value& list = config.at("additional_special_tokens");
  if (!list.is_array()) config.refuse("additional_special_tokens: expected a list");
  for (const Value& entry : list) {
    AddedToken token;
    if (entry.is_string()) {
      token.content = entry.get<std::string>();
    } else {
      token = read_token(Component(entry, config.place() + ": additional_special_tokens"));
    }
    token.special = true;
    settings.additional.insert(token.content);
    add(token);
  }
}

void read_added_tokens(const Component& config, const std::filesystem::path& folder,
                       SentencePieceSettings& settings) {
  if (config.has("added_tokens_decoder")) {
    const Component list = config.child("added_tokens_decoder");
    for (const auto& [key, value] : list.value().items()) {
      const bool digits =
          !key.empty() && key.size() < 10 && key.find_first_not_of("0123456789") == std::string::npos;
      if (!digits) list.refuse("got \"" + printable(key) + "\", expected a token id");
      AddedToken token = read_token(list.child(key.c_str()));
      token.id = token_id(Value(static_cast<std::uint64_t>(std::stoul(key))), list.place());
      settings.added.push_back(token);
    }
  } else {
    const std::filesystem::path file = folder / "added_tokens.json";
    const Value json = read_object(file);
    for (const auto& [content, id] : json.items()) {
      AddedToken token;
      token.content = content;
      token.id = token_id(id, printable(file.string(), 400));
      settings.added.push_back(token);
    }
  }
  std::sort(settings.added.begin(), settings.added.end(),
            [](const AddedToken& a, const AddedToken& b) { return a.id < b.id; });
  std::set<std::string> contents;
  for (size_t i = 0; i < settings.added.size(); ++i) {
    if (i > 0 && settings.added[i].id == settings.added[i - 1].id) {
      config.refuse("the id " + std::to_string(settings.added[i].id) + " is given to two added tokens");
    }
    if (!contents.insert(settings.added[i].content).second) {
      config.refuse("the added token \"" + printable(settings.added[i].content) + "\" has two ids");
    }
  }
}

// --- the protobuf wire format, as far as needed ---

struct Reader {
  std::string_view bytes;
  const std::string& place;
  size_t position = 0;

  [[noreturn]] void refuse() const { throw model_error("[" + place + "] not a sentencepiece model"); }
  bool done() const { return position == bytes.size(); }
  std::uint64_t varint() {
    std::uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      if (done()) refuse();
      const auto byte = static_cast<unsigned char>(bytes[position++]);
      value |= static_cast<std::uint64_t>(byte & 0x7F) << shift;
      if (byte < 0x80) return value;
    }
    refuse();
  }
  std::string_view take(std::uint64_t size) {
    if (size > bytes.size() - position) refuse();
    const std::string_view result = bytes.substr(position, static_cast<size_t>(size));
    position += static_cast<size_t>(size);
    return result;
  }
  // The payload of a field of the wire type, and its number when it is a varint.
  std::string_view payload(std::uint64_t wire_type, std::uint64_t& number) {
    switch (wire_type) {
      case 0:
        number = varint();
        return {};
      case 1:
        return take(8);
      case 2:
        return take(varint());
      case 5:
        return take(4);
      default:
        refuse();
    }
  }
};

constexpr std::uint64_t kPiecesField = 1;  // of the model; in a piece: its text
constexpr std::uint64_t kTypeField = 3;    // of a piece
constexpr std::uint64_t kUserDefined = 4;
constexpr std::string_view kControlType("\x18\x03", 2);  // a piece's type field: CONTROL
constexpr std::string_view kNoDummyPrefix("\x1A\x02\x18\x00",
                                          4);  // normalizer_spec { add_dummy_prefix: false }

void append_varint(std::string& out, std::uint64_t value) {
  for (; value >= 0x80; value >>= 7) out.push_back(static_cast<char>(value | 0x80));
  out.push_back(static_cast<char>(value));
}

}  // namespace

SentencePieceSettings read_sentencepiece_settings(const std::filesystem::path& model_folder) {
  const std::filesystem::path file = model_folder / "tokenizer_config.json";
  Value json = read_object(file);
  if (!json.contains("added_tokens_decoder")) {  // older folders name special tokens in a file of their own
    const Value older = read_object(model_folder / "special_tokens_map.json");
    for (const auto& [key, value] : older.items()) json[key] = value;
  }
  const Component config(json, printable(file.string(), 400));
  const std::string type = config.text_or("tokenizer_class", "LlamaTokenizer");
  if (type != "LlamaTokenizer" && type != "LlamaTokenizerFast") {
    config.refuse("tokenizer_class: got \"" + printable(type) +
                  "\", expected LlamaTokenizer for a tokenizer.model; "
                  "a tokenizer.json is read for any class");
  }
  SentencePieceSettings settings;
  settings.legacy = config.flag_or("legacy", true);
  settings.add_prefix_space = config.flag_or("add_prefix_space", !json.contains("add_prefix_space"));
  settings.add_bos_token = config.flag_or("add_bos_token", true);
  settings.add_eos_token = config.flag_or("add_eos_token", false);
  read_added_tokens(config, model_folder, settings);
  read_named_tokens(config, settings);
  return settings;
}

std::string adapt_sentencepiece_model(const std::string& model, bool drop_dummy_prefix,
                                      const std::function<bool(const std::string&)>& is_control,
                                      const std::string& place) {
  std::string result;
  Reader reader{model, place};
  while (!reader.done()) {
    const size_t begin = reader.position;
    const std::uint64_t tag = reader.varint();
    std::uint64_t number = 0;
    const std::string_view payload = reader.payload(tag & 7, number);
    result += std::string_view(model).substr(begin, reader.position - begin);
    if (tag != (kPiecesField << 3 | 2)) continue;
    std::string text;
    std::uint64_t type = 0;
    Reader piece{payload, place};
    while (!piece.done()) {
      const std::uint64_t field = piece.varint();
      const std::string_view content = piece.payload(field & 7, number);
      if (field == (kPiecesField << 3 | 2)) text = content;
      if (field == kTypeField << 3) type = number;
    }
    if (type != kUserDefined || !is_control(text)) continue;
    // The last occurrence of a field counts, so the type is appended.
    result.resize(result.size() - (reader.position - begin));
    append_varint(result, tag);
    append_varint(result, payload.size() + kControlType.size());
    result.append(payload).append(kControlType);
  }
  if (drop_dummy_prefix) result += kNoDummyPrefix;
  return result;
}

}  // namespace ddro::text
