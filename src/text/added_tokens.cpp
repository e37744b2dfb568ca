#include "text/added_tokens.h"

#include <algorithm>

#include "text/aligned_text.h"
#include "text/character_class.h"

namespace ddro::text {

bool AddedToken::is_control() const { return special || !is_blank(content); }

void TokenTrie::add(std::string_view text, size_t value) {
  if (text.empty()) return;
  first_[static_cast<unsigned char>(text[0])] = true;
  std::uint32_t node = 0;
  for (const char byte : text) {
    const auto [edge, added] =
        edges_.try_emplace(std::uint64_t{node} * 256 + static_cast<unsigned char>(byte), num_nodes_);
    if (added) ++num_nodes_;
    node = edge->second;
  }
  values_.try_emplace(node, value);
}

TokenTrie::Found TokenTrie::longest(std::string_view text, size_t begin,
                                    const std::function<bool(size_t, size_t)>& allowed) const {
  Found best;
  std::uint32_t node = 0;
  for (size_t at = begin; at < text.size(); ++at) {
    const auto edge = edges_.find(std::uint64_t{node} * 256 + static_cast<unsigned char>(text[at]));
    if (edge == edges_.end()) break;
    node = edge->second;
    const auto value = values_.find(node);
    if (value != values_.end() && allowed(value->second, at + 1)) best = {value->second, at + 1};
  }
  return best;
}

void AddedTokenFinder::add(const std::string& pattern, const AddedToken& token) {
  trie_.add(pattern, tokens_.size());
  tokens_.push_back(&token);
}

std::vector<TextPart> AddedTokenFinder::find(std::string_view text,
                                             const std::function<bool(Span)>& forbidden) const {
  std::vector<TextPart> parts;
  size_t covered = 0;  // end of the last token, with the white space it took
  for (size_t at = 0; at < text.size() && !trie_.empty();) {
    if (!trie_.may_begin(text[at])) {
      ++at;
      continue;
    }
    const auto allowed = [&](size_t index, size_t end) {
      return !tokens_[index]->is_control() || !forbidden({at, end});
    };
    const TokenTrie::Found found = trie_.longest(text, at, allowed);
    if (found.value == std::string_view::npos) {
      ++at;
      continue;
    }
    const AddedToken& token = *tokens_[found.value];
    Span span{at, found.end};
    at = found.end;
    if (token.single_word && ((span.begin > 0 && (flags_before(text, span.begin) & kWord)) ||
                              (span.end < text.size() && (flags_at(text, span.end) & kWord)))) {
      continue;
    }
    if (token.lstrip) {
      while (span.begin > covered && (flags_before(text, span.begin) & kSpace)) {
        do {
          --span.begin;
        } while (is_utf8_continuation(text[span.begin]));
      }
      span.begin = std::max(span.begin, covered);
    }
    while (token.rstrip && span.end < text.size() && (flags_at(text, span.end) & kSpace)) {
      span.end += utf8_length(text[span.end]);
    }
    if (covered < span.begin) parts.push_back({{covered, span.begin}, nullptr});
    parts.push_back({span, &token});
    covered = span.end;
  }
  if (covered != text.size()) parts.push_back({{covered, text.size()}, nullptr});
  return parts;
}

}  // namespace ddro::text
