// The reading half of JsonTokenizer.
#include <algorithm>
#include <set>

#include "ddro/base/error.h"
#include "text/json_tokenizer.h"

namespace ddro::text {

JsonTokenizer::JsonTokenizer(const std::filesystem::path& file) {
  const Value json = read_large_json(file);
  const std::string place = printable(file.string(), 400);
  const Component root(json, place);
  const auto part = [&](const char* name) { return Component(root.at(name), place + ": " + name); };
  if (root.text_or("version", "1.0") != "1.0") root.refuse("version: expected \"1.0\"");
  // Truncation and padding are settings of a call, not of the vocabulary; transformers resets them in each
  // one, too.
  root.expect_only({"version", "truncation", "padding", "added_tokens", "normalizer", "pre_tokenizer",
                    "post_processor", "decoder", "model"});
  if (root.has("normalizer")) normalizer_ = Normalizer(part("normalizer"));
  if (root.has("pre_tokenizer")) pre_tokenizer_ = PreTokenizer(part("pre_tokenizer"));
  if (root.has("post_processor")) post_processor_ = read_post_processor(part("post_processor"));
  if (root.has("decoder")) decoder_ = Decoder(part("decoder"));
  model_ = std::make_unique<BpeModel>(part("model"), pre_tokenizer_.ends_in_bytes());
  for (const auto& [text, id] : model_->vocabulary()) token_slot(id).text = &text;
  if (root.has("added_tokens")) read_added_tokens(root);
  check_ids(root);
}

JsonTokenizer::Token& JsonTokenizer::token_slot(TokenId id) {
  const auto index = static_cast<size_t>(id);
  if (tokens_.size() <= index) tokens_.resize(index + 1);
  return tokens_[index];
}

void JsonTokenizer::read_added_tokens(const Component& root) {
  const std::vector<Component> entries = root.children("added_tokens");
  added_.reserve(entries.size());  // what follows keeps pointers to them
  std::set<std::string> contents;
  for (const Component& entry : entries) {
    entry.expect_only({"id", "content", "single_word", "lstrip", "rstrip", "normalized", "special"});
    AddedToken token;
    token.content = entry.text("content");
    token.id = entry.id("id");
    token.single_word = entry.flag("single_word");
    token.lstrip = entry.flag("lstrip");
    token.rstrip = entry.flag("rstrip");
    token.normalized = entry.flag("normalized");
    token.special = entry.flag("special");
    if (token.content.empty()) entry.refuse("content is empty");
    if (!contents.insert(token.content).second)
      entry.refuse("\"" + printable(token.content) + "\" is listed twice");
    add_token(token, entry);
  }
  // Where two normalized forms are equal, special tokens come before others, in the order of the file.
  std::vector<TokenId> control_ids;
  for (const bool special : {true, false}) {
    for (const AddedToken& token : added_) {
      if (token.special != special) continue;
      if (token.is_control()) control_ids.push_back(token.id);
      if (!token.normalized) {
        raw_finder_.add(token.content, token);
      } else {
        AlignedText pattern(token.content, 0);
        normalizer_.apply(pattern);
        normalized_finder_.add(std::string(pattern.text()), token);
      }
    }
  }
  model_->set_control_ids(control_ids);
}

void JsonTokenizer::add_token(const AddedToken& token, const Component& component) {
  const auto in_model = model_->vocabulary().find(token.content);
  if (in_model != model_->vocabulary().end() && in_model->second != token.id) {
    component.refuse("\"" + printable(token.content) + "\" has id " + std::to_string(token.id) +
                     " here and id " + std::to_string(in_model->second) + " in the vocabulary");
  }
  added_.push_back(token);
  Token& slot = token_slot(token.id);
  if (slot.text && *slot.text != token.content) {
    component.refuse("id " + std::to_string(token.id) + " of \"" + printable(token.content) +
                     "\" belongs to \"" + printable(*slot.text) + "\"");
  }
  slot = {&added_.back().content, &added_.back()};
}

void JsonTokenizer::check_ids(const Component& root) const {
  for (const auto* ids : {&post_processor_.prefix, &post_processor_.suffix}) {
    for (const TokenId id : *ids) {
      if (token_of(id).empty())
        root.refuse("the post-processor adds the id " + std::to_string(id) + ", which has no token");
    }
  }
  if (tokens_.empty()) root.refuse("the vocabulary is empty");
}

}  // namespace ddro::text
