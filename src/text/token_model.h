// What cuts a piece of text into tokens of a vocabulary.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "text/component.h"

namespace ddro::text {

struct StringHash {
  using is_transparent = void;
  size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
};
using StringIds = std::unordered_map<std::string, TokenId, StringHash, std::equal_to<>>;

// A token of a word, and the word's bytes [begin, end) that it stands for.
struct WordToken {
  TokenId id = 0;
  std::uint32_t begin = 0;
  std::uint32_t end = 0;
};

// What encoding needs besides the model, for one thread at a time.
struct TokenWorkspace {
  virtual ~TokenWorkspace() = default;
};

// The ids of control tokens, few or none of a vocabulary.
class ControlIds {
 public:
  void add(TokenId id) {
    const auto index = static_cast<size_t>(id);
    if (marks_.size() <= index) marks_.resize(index + 1);
    marks_[index] = true;
  }
  bool contains(TokenId id) const {
    return static_cast<size_t>(id) < marks_.size() && marks_[static_cast<size_t>(id)];
  }

 private:
  std::vector<bool> marks_;  // by id
};

class TokenModel {
 public:
  virtual ~TokenModel() = default;

  const StringIds& vocabulary() const { return vocabulary_; }
  virtual size_t vocabulary_size() const { return vocabulary_.size(); }  // entries, equal ones too

  // Ids that are not produced in words that are encoded with `literal`.
  void set_control_ids(const std::vector<TokenId>& ids);
  // Whether a word can become a control token.
  bool control_reachable() const { return control_reachable_; }

  virtual std::unique_ptr<TokenWorkspace> make_workspace() const = 0;
  // Appends the tokens of `word`; the workspace is one of this model's.
  virtual void encode(std::string_view word, bool literal, TokenWorkspace& workspace,
                      std::vector<WordToken>& tokens) const = 0;

 protected:
  // Reads the object `vocab`: token -> id. Error(kModel) where two tokens have one id.
  void read_vocabulary(const Component& component);
  // Whether a word can become the token of this id.
  virtual bool can_produce(TokenId id) const = 0;
  bool is_control(TokenId id) const { return control_.contains(id); }

  StringIds vocabulary_;  // as the file writes tokens

 private:
  ControlIds control_;
  bool control_reachable_ = false;
};

// The name of a model, BPE where the file gives none.
std::string model_type(const Component& component);

// Whether the model of a tokenizer.json works on bytes where the pre-tokenizer leaves that to it.
bool takes_bytes(const Component& component);

// The model of a tokenizer.json: BPE, Unigram, WordPiece or WordLevel. `bytes`, of a model that takes them:
// words are bytes, and the vocabulary writes them in the byte alphabet; else words are UTF-8. Error(kModel)
// for another one.
std::unique_ptr<TokenModel> make_token_model(const Component& component, bool bytes);

}  // namespace ddro::text
