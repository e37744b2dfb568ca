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
  explicit UnigramModel(const Component& component);

  size_t vocabulary_size() const override { return scores_.size(); }
  std::unique_ptr<TokenWorkspace> make_workspace() const override;
  void encode(std::string_view word, bool literal, TokenWorkspace& workspace,
              std::vector<WordToken>& tokens) const override;

 private:
  struct Workspace;
  void read_pieces(const Component& component);
  bool can_produce(TokenId id) const override { return static_cast<size_t>(id) < scores_.size(); }
  void find_best_path(std::string_view word, bool literal, Workspace& workspace) const;
  void append_unknown(std::string_view word, Span span, bool literal, std::vector<WordToken>& tokens) const;

  std::string place_;
  std::vector<double> scores_;  // by id
  TokenTrie trie_;              // of the pieces
  double unknown_score_ = 0;
  TokenId unknown_ = -1;
  std::array<TokenId, 256> fallback_;  // byte tokens; -1 where there is none or no byte fallback
};

}  // namespace ddro::text
