#include "text/word_models.h"

#include <algorithm>

#include "text/aligned_text.h"

namespace ddro::text {

WordModel::WordModel(const Component& component)
    : place_(component.place()), unknown_token_(component.text("unk_token")) {
  read_vocabulary(component);
}

TokenId WordModel::find(std::string_view token, bool literal) const {
  const auto found = vocabulary().find(token);
  return found == vocabulary().end() || (literal && is_control(found->second)) ? -1 : found->second;
}

// The unknown token is meant here, whatever it is called: it stands for text that is none of the words.
WordToken WordModel::unknown(std::string_view word) const {
  const TokenId id = find(unknown_token_, false);
  if (id < 0) {
    throw model_error("[" + place_ + "] the text needs the unknown token \"" + printable(unknown_token_) +
                      "\", which is not in the vocabulary");
  }
  return {id, 0, static_cast<std::uint32_t>(word.size())};
}

WordLevelModel::WordLevelModel(const Component& component) : WordModel(component) {
  component.expect_only({"vocab", "unk_token"});
}

void WordLevelModel::encode(std::string_view word, bool literal, TokenWorkspace&,
                            std::vector<WordToken>& tokens) const {
  const TokenId id = find(word, literal);
  tokens.push_back(id < 0 ? unknown(word) : WordToken{id, 0, static_cast<std::uint32_t>(word.size())});
}

WordPieceModel::WordPieceModel(const Component& component)
    : WordModel(component),
      prefix_(component.text("continuing_subword_prefix")),
      most_characters_(component.count("max_input_chars_per_word")) {
  component.expect_only({"vocab", "unk_token", "continuing_subword_prefix", "max_input_chars_per_word"});
  for (const auto& [token, id] : vocabulary()) longest_token_ = std::max(longest_token_, token.size());
}

WordToken WordPieceModel::longest_piece(std::string_view word, size_t begin, bool literal) const {
  size_t end = std::min(word.size(), begin + longest_token_);
  while (end < word.size() && is_utf8_continuation(word[end])) --end;
  std::string piece(begin > 0 ? prefix_ : std::string());
  piece += word.substr(begin, end - begin);
  while (end > begin) {
    const TokenId id = find(piece, literal);
    if (id >= 0) return {id, static_cast<std::uint32_t>(begin), static_cast<std::uint32_t>(end)};
    do {
      --end;
      piece.pop_back();
    } while (is_utf8_continuation(word[end]));
  }
  return {};
}

void WordPieceModel::encode(std::string_view word, bool literal, TokenWorkspace&,
                            std::vector<WordToken>& tokens) const {
  const size_t first = tokens.size();
  const auto characters = static_cast<size_t>(
      std::count_if(word.begin(), word.end(), [](char byte) { return !is_utf8_continuation(byte); }));
  bool known = characters <= most_characters_;
  for (size_t begin = 0; known && begin < word.size();) {
    const WordToken piece = longest_piece(word, begin, literal);
    known = piece.end > begin;
    if (known) tokens.push_back(piece);
    begin = piece.end;
  }
  if (known) return;
  tokens.resize(first);
  tokens.push_back(unknown(word));
}

}  // namespace ddro::text
