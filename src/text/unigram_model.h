// The most probable way to cut a piece of text, as the Unigram model of Hugging Face's tokenizers finds it.
#pragma once

#include <array>
#include <string_view>
#include <vector>

#include "text/added_tokens.h"
#include "text/token_model.h"

namespace ddro::text {

class UnigramModel : public TokenModel {
 public:
  // Error(kModel): unknown fields, entries that are no [piece, score], an unknown token that there is not.
  UnigramModel(const Component& component, bool bytes);

  size_t vocabulary_size() const override { return scores_.size(); }
  void set_control_ids(const std::vector<TokenId>& ids) override;
  bool control_reachable() const override { return control_reachable_; }
  std::unique_ptr<TokenWorkspace> make_workspace() const override;
  void encode(std::string_view word, bool literal, TokenWorkspace& workspace,
              std::vector<WordToken>& tokens) const override;

 private:
  struct Workspace;
  void read_vocabulary(const Component& component);
  bool is_control(TokenId id) const {
    return static_cast<size_t>(id) < control_.size() && control_[static_cast<size_t>(id)];
  }
  void find_best_path(std::string_view word, bool literal, Workspace& workspace) const;
  void append_unknown(std::string_view word, Span span, bool literal, std::vector<WordToken>& tokens) const;

  bool bytes_;
  std::string place_;
  std::vector<double> scores_;  // by id
  TokenTrie trie_;              // of the pieces
  double unknown_score_ = 0;
  TokenId unknown_ = -1;
  std::array<TokenId, 256> fallback_;  // byte tokens; -1 where there is none or no byte fallback
  std::vector<bool> control_;
  bool control_reachable_ = false;
};

}  // namespace ddro::text
