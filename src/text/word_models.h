// Models that know words: WordLevel, which knows them whole, and WordPiece, which cuts a word into the
// longest pieces that it knows, from the left.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "text/token_model.h"

namespace ddro::text {

// A vocabulary with a token for every word that it lacks.
class WordModel : public TokenModel {
 public:
  std::unique_ptr<TokenWorkspace> make_workspace() const override {
    return std::make_unique<TokenWorkspace>();
  }

 protected:
  // Reads `vocab` and `unk_token`. Error(kModel) for double ids.
  explicit WordModel(const Component& component);

  bool can_produce(TokenId) const override { return true; }
  // The id of `token`, or -1; `literal`: control tokens are not known.
  TokenId find(std::string_view token, bool literal) const;
  // Error(kModel) where the vocabulary lacks the unknown token.
  WordToken unknown(std::string_view word) const;

 private:
  std::string place_;
  std::string unknown_token_;
};

class WordLevelModel : public WordModel {
 public:
  // Error(kModel): unknown fields, double ids.
  explicit WordLevelModel(const Component& component);

  void encode(std::string_view word, bool literal, TokenWorkspace& workspace,
              std::vector<WordToken>& tokens) const override;
};

class WordPieceModel : public WordModel {
 public:
  // Error(kModel): unknown fields, double ids.
  explicit WordPieceModel(const Component& component);

  void encode(std::string_view word, bool literal, TokenWorkspace& workspace,
              std::vector<WordToken>& tokens) const override;

 private:
  // The longest piece at `begin`, which may be empty.
  WordToken longest_piece(std::string_view word, size_t begin, bool literal) const;

  std::string prefix_;          // of pieces that do not begin a word
  size_t most_characters_ = 0;  // of a word; longer ones are unknown
  size_t longest_token_ = 0;    // bytes
};

}  // namespace ddro::text
