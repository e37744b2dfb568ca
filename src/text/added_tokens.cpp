#include "text/added_tokens.h"

#include <algorithm>
#include <tuple>

#include "text/aligned_text.h"
#include "text/character_class.h"

namespace ddro::text {

bool same_token(const AddedToken& a, const AddedToken& b) {
  const auto flags = [](const AddedToken& token) {
    return std::tie(token.content, token.single_word, token.lstrip, token.rstrip, token.normalized,
                    token.special);
  };
  return flags(a) == flags(b);
}

namespace {

// Where the edge of `byte` is, or would be inserted.
template <typename Edges>
auto find_edge(Edges& edges, char byte) {
  return std::partition_point(edges.begin(), edges.end(), [byte](const auto& edge) {
    return edge.first < static_cast<unsigned char>(byte);
  });
}

template <typename Edges, typename Edge>
bool leads(const Edges& edges, Edge edge, char byte) {
  return edge != edges.end() && edge->first == static_cast<unsigned char>(byte);
}

}  // namespace

void TokenTrie::add(std::string_view text, size_t value) {
  if (text.empty()) return;
  first_[static_cast<unsigned char>(text[0])] = true;
  std::uint32_t node = 0;
  for (const char byte : text) {
    auto& edges = nodes_[node].edges;
    const auto edge = find_edge(edges, byte);
    if (leads(edges, edge, byte)) {
      node = edge->second;
    } else {
      node = static_cast<std::uint32_t>(nodes_.size());
      edges.insert(edge, {static_cast<unsigned char>(byte), node});
      nodes_.emplace_back();
    }
  }
  if (nodes_[node].value == std::string_view::npos) nodes_[node].value = value;
}

void TokenTrie::for_each_prefix(std::string_view text, size_t begin,
                                const std::function<void(size_t, size_t)>& visit) const {
  std::uint32_t node = 0;
  for (size_t at = begin; at < text.size(); ++at) {
    const auto& edges = nodes_[node].edges;
    const auto edge = find_edge(edges, text[at]);
    if (!leads(edges, edge, text[at])) break;
    node = edge->second;
    if (nodes_[node].value != std::string_view::npos) visit(nodes_[node].value, at + 1);
  }
}

TokenTrie::Found TokenTrie::longest(std::string_view text, size_t begin,
                                    const std::function<bool(size_t, size_t)>& allowed) const {
  Found best;
  for_each_prefix(text, begin, [&](size_t value, size_t end) {
    if (allowed(value, end)) best = {value, end};
  });
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
  size_t at = 0;
  while ((at = trie_.next_beginning(text, at)) < text.size()) {
    const auto allowed = [&](size_t index, size_t end) {
      return !tokens_[index]->special || !forbidden({at, end});
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
