// The reading half of JsonTokenizer.
#include <algorithm>
#include <set>

#include "ddro/base/error.h"
#include "ddro/base/log.h"
#include "text/json_tokenizer.h"

namespace ddro::text {
namespace {

// The search for them takes memory for each byte of each.
constexpr size_t kMaxAddedBytes = size_t{4} << 20;

std::vector<AddedToken> read_added_tokens(const Component& root) {
  std::vector<AddedToken> result;
  if (!root.has("added_tokens")) return result;
  std::set<std::string> contents;
  size_t bytes = 0;
  for (const Component& entry : root.children("added_tokens")) {
    entry.expect_only({"id", "content", "single_word", "lstrip", "rstrip", "normalized", "special"});
    for (const char* flag : {"single_word", "lstrip", "rstrip", "normalized", "special"}) entry.flag(flag);
    AddedToken token = read_added_token(entry);
    token.id = entry.id("id");
    bytes += token.content.size();
    if (bytes > kMaxAddedBytes)
      root.refuse("added_tokens: more than " + std::to_string(kMaxAddedBytes >> 20) + " MB of text in all");
    if (!contents.insert(token.content).second)
      entry.refuse("\"" + printable(token.content) + "\" is listed twice");
    result.push_back(std::move(token));
  }
  return result;
}

void set_prefix_space(Value& pre_tokenizer, bool value, bool reaches_inside) {
  if (!pre_tokenizer.is_object()) return;
  if (pre_tokenizer.value("type", "") == "ByteLevel") pre_tokenizer["add_prefix_space"] = value;
  const auto inside = pre_tokenizer.find("pretokenizers");
  if (!reaches_inside || !value || inside == pre_tokenizer.end() || !inside->is_array()) return;
  for (Value& child : *inside) set_prefix_space(child, value, reaches_inside);
}

}  // namespace

JsonTokenizer::JsonTokenizer(Value json, const std::string& place, const TokenizerConfig& config,
                             bool of_json) {
  const Component root(json, place);
  const auto part = [&](const char* name) { return Component(root.at(name), place + ": " + name); };
  if (root.text_or("version", "1.0") != "1.0") root.refuse("version: expected \"1.0\"");
  // Truncation and padding are settings of a call, not of the vocabulary; transformers resets them in each
  // one, too.
  root.expect_only({"version", "truncation", "padding", "added_tokens", "normalizer", "pre_tokenizer",
                    "post_processor", "decoder", "model"});
  if (config.byte_level_prefix && root.has("pre_tokenizer"))
    set_prefix_space(json["pre_tokenizer"], *config.byte_level_prefix,
                     config.tokenizer_class->reaches_inside);
  if (root.has("normalizer")) normalizer_ = Normalizer(part("normalizer"));
  if (root.has("pre_tokenizer"))
    pre_tokenizer_ = PreTokenizer(part("pre_tokenizer"), takes_bytes(part("model")));
  if (root.has("post_processor")) post_processor_ = read_post_processor(part("post_processor"));
  if (root.has("decoder")) decoder_ = Decoder(part("decoder"));
  model_type_ = text::model_type(part("model"));
  model_ = make_token_model(part("model"), pre_tokenizer_.ends_in_bytes());
  for (const auto& [text, id] : model_->vocabulary()) token_slot(id).text = &text;
  const std::vector<AddedToken> present = read_added_tokens(root);
  add_tokens(present, place);
  add_tokens(tokens_to_add(config, present, of_json), config.place);
  find_added_tokens();
  if (config.makes_post_processor) make_post_processor(config);
  check_ids(place);
}

JsonTokenizer::Token& JsonTokenizer::token_slot(TokenId id) {
  const auto index = static_cast<size_t>(id);
  if (tokens_.size() <= index) tokens_.resize(index + 1);
  return tokens_[index];
}

void JsonTokenizer::add_tokens(const std::vector<AddedToken>& tokens, const std::string& place) {
  for (const AddedToken& token : tokens) {
    const AddedToken& added = added_.add(token, *model_);
    token_slot(added.id) = {&added.content, &added};
    if (token.id >= 0 && token.id != added.id) {
      log_warning("[" + place + "] the added token \"" + printable(token.content) + "\" has id " +
                  std::to_string(token.id) + " there; it gets " + std::to_string(added.id) +
                  ", as transformers gives it");
    }
  }
}

void JsonTokenizer::find_added_tokens() {
  for (const auto& [token, normalized] : added_.searches()) {
    if (!normalized) {
      raw_finder_.add(token->content, *token);
    } else {
      AlignedText pattern(token->content, 0);
      normalizer_.apply(pattern);
      normalized_finder_.add(std::string(pattern.text()), *token);
    }
  }
  std::vector<TokenId> control_ids;
  for (const AddedToken& token : added_.tokens()) {
    if (token.special) control_ids.push_back(token.id);
  }
  model_->set_control_ids(control_ids);
}

void JsonTokenizer::make_post_processor(const TokenizerConfig& config) {
  const auto ids = [&](bool wanted, const char* name) {
    const std::string text = config.text_of(name);
    if (wanted && text.empty()) {
      throw model_error("[" + config.place + "] add_" + name + " is true, but there is no " + name);
    }
    return wanted ? std::vector<TokenId>{id_of(text)} : std::vector<TokenId>{};
  };
  post_processor_.prefix = ids(config.add_bos, "bos_token");
  post_processor_.suffix = ids(config.add_eos, "eos_token");
}

void JsonTokenizer::check_ids(const std::string& place) const {
  for (const auto* ids : {&post_processor_.prefix, &post_processor_.suffix}) {
    for (const TokenId id : *ids) {
      if (token_of(id).empty()) {
        throw model_error("[" + place + "] the post-processor adds the id " + std::to_string(id) +
                          ", which has no token");
      }
    }
  }
  if (tokens_.empty()) throw model_error("[" + place + "] the vocabulary is empty");
}

std::string JsonTokenizer::describe_rules() const {
  std::string text;
  for (const AddedToken& token : added_.tokens()) {
    text += std::to_string(token.id) + " " + Json(token.content).dump();
    for (const bool flag : {token.single_word, token.lstrip, token.rstrip, token.normalized, token.special})
      text += flag ? " 1" : " 0";
    text += "\n";
  }
  for (const auto* ids : {&post_processor_.prefix, &post_processor_.suffix}) {
    for (const TokenId id : *ids) text += std::to_string(id) + " ";
    text += "\n";
  }
  return text;
}

}  // namespace ddro::text
