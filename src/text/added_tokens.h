// Tokens that are found in the text before the model sees it.
#pragma once

#include <array>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ddro/text/tokenizer.h"

namespace ddro::text {

struct AddedToken {
  std::string content;
  TokenId id = -1;           // -1: no file gives one
  bool single_word = false;  // only where no word character touches it
  bool lstrip = false;       // takes the white space on its left with it
  bool rstrip = false;
  bool normalized = false;  // looked for in normalized text
  bool special = false;     // a control token: text that a row wrote does not become one
};

// Equal but for the id.
bool same_token(const AddedToken& a, const AddedToken& b);

// A set of strings in which the longest that begins at a place is found.
class TokenTrie {
 public:
  // `value` is what the string stands for; the first of two equal strings stays.
  void add(std::string_view text, size_t value);

  // Calls `visit(value, end)` for each string that begins at `begin`, the shortest first.
  void for_each_prefix(std::string_view text, size_t begin,
                       const std::function<void(size_t, size_t)>& visit) const;
  // The longest string that begins at `begin` and that `allowed(value, end)` takes; npos if there is none.
  struct Found {
    size_t value = std::string_view::npos;
    size_t end = 0;
  };
  Found longest(std::string_view text, size_t begin,
                const std::function<bool(size_t, size_t)>& allowed) const;
  // The first byte from `at` on with which a string begins, or the end.
  size_t next_beginning(std::string_view text, size_t at) const {
    while (at < text.size() && !first_[static_cast<unsigned char>(text[at])]) ++at;
    return at;
  }

 private:
  struct Node {
    std::vector<std::pair<unsigned char, std::uint32_t>> edges;  // byte -> node, ascending
    size_t value = std::string_view::npos;
  };

  std::array<bool, 256> first_{};
  std::vector<Node> nodes_{1};  // the root first
};

// A part of a text: an added token, or what lies between two. Parts may overlap where one token strips the
// white space that another is made of.
struct TextPart {
  Span span;
  const AddedToken* token = nullptr;
};

class AddedTokenFinder {
 public:
  // Looks for `pattern` (the token's content, perhaps normalized); `token` must outlive this.
  void add(const std::string& pattern, const AddedToken& token);

  // Cuts `text` at the tokens, leftmost first and longest first. A special token whose bytes `forbidden`
  // holds back is not seen.
  std::vector<TextPart> find(std::string_view text, const std::function<bool(Span)>& forbidden) const;
  bool empty() const { return tokens_.empty(); }

 private:
  TokenTrie trie_;
  std::vector<const AddedToken*> tokens_;
};

}  // namespace ddro::text
