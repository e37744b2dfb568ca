#include "text/unigram_model.h"

#include <algorithm>
#include <limits>

#include "ddro/base/utf8.h"
#include "text/aligned_text.h"
#include "text/byte_alphabet.h"

namespace ddro::text {
namespace {

constexpr double kUnknownPenalty = 10;  // below the lowest score of a piece

}  // namespace

struct UnigramModel::Workspace : TokenWorkspace {
  // The best way to get to a byte: its score, and the piece it ends with.
  struct Node {
    double score = 0;
    TokenId id = -1;
    size_t begin = std::string_view::npos;  // of the piece; npos: no way is known
  };
  std::vector<Node> nodes;
  std::vector<std::pair<TokenId, Span>> path;
};

UnigramModel::UnigramModel(const Component& component) : place_(component.place()) {
  component.expect_only({"unk_id", "vocab", "byte_fallback"});
  read_pieces(component);
  if (component.has("unk_id")) {
    unknown_ = component.id("unk_id");
    if (static_cast<size_t>(unknown_) >= scores_.size()) component.refuse("unk_id is no piece");
  }
  fallback_.fill(-1);
  if (!component.flag_or("byte_fallback", false)) return;
  for (size_t byte = 0; byte < 256; ++byte) {
    const auto found = vocabulary_.find(byte_fallback_token(static_cast<unsigned char>(byte)));
    if (found != vocabulary_.end()) fallback_[byte] = found->second;
  }
}

void UnigramModel::read_pieces(const Component& component) {
  const Value& list = component.at("vocab");
  if (!list.is_array() || list.empty()) component.refuse("vocab: expected a list of [piece, score]");
  double lowest = std::numeric_limits<double>::infinity();
  for (const Value& entry : list) {
    if (!entry.is_array() || entry.size() != 2 || !entry[0].is_string() || !entry[1].is_number())
      component.refuse("vocab: expected a list of [piece, score]");
    vocabulary_[entry[0].get<std::string>()] = static_cast<TokenId>(scores_.size());
    scores_.push_back(entry[1].get<double>());
    lowest = std::min(lowest, scores_.back());
  }
  if (scores_.size() > static_cast<size_t>(kMaxTokenId)) component.refuse("vocab: too many pieces");
  unknown_score_ = lowest - kUnknownPenalty;
  for (const auto& [piece, id] : vocabulary_) trie_.add(piece, static_cast<size_t>(id));
}

std::unique_ptr<TokenWorkspace> UnigramModel::make_workspace() const { return std::make_unique<Workspace>(); }

// Viterbi over the word's characters; of equal ways the first one found stays.
void UnigramModel::find_best_path(std::string_view word, bool literal, Workspace& workspace) const {
  workspace.nodes.assign(word.size() + 1, {});
  for (size_t begin = 0; begin < word.size();) {
    const double here = workspace.nodes[begin].score;
    const size_t character = begin + utf8_length(word[begin]);
    bool has_character = false;
    const auto propose = [&](size_t end, TokenId id, double score) {
      Workspace::Node& node = workspace.nodes[end];
      if (node.begin == std::string_view::npos || here + score > node.score) node = {here + score, id, begin};
    };
    trie_.for_each_prefix(word, begin, [&](size_t value, size_t end) {
      const auto id = static_cast<TokenId>(value);
      if (literal && is_control(id)) return;
      propose(end, id, scores_[value]);
      has_character = has_character || end == character;
    });
    if (!has_character) propose(character, unknown_, unknown_score_);
    begin = character;
  }
  workspace.path.clear();
  for (size_t end = word.size(); end > 0; end = workspace.nodes[end].begin)
    workspace.path.push_back({workspace.nodes[end].id, {workspace.nodes[end].begin, end}});
  std::reverse(workspace.path.begin(), workspace.path.end());
}

// A run of unknown characters: a token of its text as a whole, else its bytes', else the unknown token.
void UnigramModel::append_unknown(std::string_view word, Span span, bool literal,
                                  std::vector<WordToken>& tokens) const {
  const auto begin = static_cast<std::uint32_t>(span.begin);
  const auto end = static_cast<std::uint32_t>(span.end);
  const std::string_view text = word.substr(span.begin, span.end - span.begin);
  const auto whole = vocabulary_.find(text);
  if (whole != vocabulary_.end() && !(literal && is_control(whole->second))) {
    tokens.push_back({whole->second, begin, end});
    return;
  }
  const bool all_bytes = std::all_of(
      text.begin(), text.end(), [&](char byte) { return fallback_[static_cast<unsigned char>(byte)] >= 0; });
  if (all_bytes) {
    for (const char byte : text) tokens.push_back({fallback_[static_cast<unsigned char>(byte)], begin, end});
    return;
  }
  if (unknown_ < 0) throw model_error("[" + place_ + "] the text needs an unknown token; there is no unk_id");
  tokens.push_back({unknown_, begin, end});
}

void UnigramModel::encode(std::string_view word, bool literal, TokenWorkspace& workspace,
                          std::vector<WordToken>& tokens) const {
  auto& own = static_cast<Workspace&>(workspace);
  find_best_path(word, literal, own);
  for (size_t i = 0; i < own.path.size(); ++i) {
    auto [id, span] = own.path[i];
    if (id == unknown_) {
      while (i + 1 < own.path.size() && own.path[i + 1].first == unknown_)
        span.end = own.path[++i].second.end;
      append_unknown(word, span, literal, tokens);
    } else {
      tokens.push_back({id, static_cast<std::uint32_t>(span.begin), static_cast<std::uint32_t>(span.end)});
    }
  }
}

}  // namespace ddro::text
