// The encoding half of BpeModel.
#include <algorithm>
#include <cstring>

#include "ddro/base/error.h"
#include "ddro/base/utf8.h"
#include "text/aligned_text.h"
#include "text/bpe_model.h"

namespace ddro::text {
namespace {

constexpr size_t kCacheSlots = size_t{1} << 15;  // 2 MiB
constexpr size_t kMaxCachedBytes = 23;
constexpr size_t kMaxCachedTokens = 7;
constexpr size_t kShortWord = 24;  // symbols; up to here a search for the best pair beats a heap

}  // namespace

BpeWorkspace::BpeWorkspace() : cache_(kCacheSlots) {}

// The word's place in the cache, which holds another word if its key differs (it is then made the word's, and
// empty); null for words that are too long.
BpeWorkspace::CachedWord* BpeWorkspace::find(std::string_view word) {
  if (word.size() > kMaxCachedBytes) return nullptr;
  std::uint64_t key[3] = {0, 0, 0};
  std::memcpy(key, word.data(), word.size());
  reinterpret_cast<unsigned char*>(key)[kMaxCachedBytes] = static_cast<unsigned char>(word.size());
  std::uint64_t hash = 0;
  for (const std::uint64_t part : key) hash = (hash ^ part) * 0x9E3779B97F4A7C15u, hash ^= hash >> 32;
  CachedWord& slot = cache_[hash % kCacheSlots];
  if (std::memcmp(slot.key, key, sizeof key) != 0) {
    std::memcpy(slot.key, key, sizeof key);
    slot.size = 0;
  }
  return &slot;
}

std::unique_ptr<TokenWorkspace> BpeModel::make_workspace() const { return std::make_unique<BpeWorkspace>(); }

void BpeModel::encode(std::string_view word, bool literal, TokenWorkspace& workspace,
                      std::vector<WordToken>& tokens) const {
  auto& own = static_cast<BpeWorkspace&>(workspace);
  if (ignore_merges_) {
    const StringIds& words = bytes_ ? words_ : vocabulary_;
    const auto found = words.find(word);
    if (found != words.end() && !(literal && is_control(found->second))) {
      tokens.push_back({found->second, 0, static_cast<std::uint32_t>(word.size())});
      return;
    }
  }
  if (word.size() <= kMaxCachedBytes || has_affixes()) {
    encode_part(word, 0, literal, own, tokens);
  } else {
    encode_long(word, literal, own, tokens);
  }
}

// No merge crosses two neighbouring units that have tokens of their own when no merged token holds the last
// byte of the one and the first of the other side by side: cutting there changes nothing.
void BpeModel::encode_long(std::string_view word, bool literal, BpeWorkspace& workspace,
                           std::vector<WordToken>& tokens) const {
  size_t begin = 0;
  bool known = false;  // the unit before has a token of its own
  Unit storage;
  for (size_t at = 0, length = 0; at < word.size(); at += length) {
    const bool own = unit_at(word, at, length, storage).id >= 0;
    if (known && own) {
      const auto first = static_cast<size_t>(static_cast<unsigned char>(word[at - 1]));
      if (!joined_[first * 256 + static_cast<unsigned char>(word[at])]) {
        encode_part(word.substr(begin, at - begin), static_cast<std::uint32_t>(begin), literal, workspace,
                    tokens);
        begin = at;
      }
    }
    known = own;
  }
  encode_part(word.substr(begin), static_cast<std::uint32_t>(begin), literal, workspace, tokens);
}

void BpeModel::encode_part(std::string_view part, std::uint32_t offset, bool literal, BpeWorkspace& workspace,
                           std::vector<WordToken>& tokens) const {
  const bool restricted = literal && control_reachable();
  BpeWorkspace::CachedWord* cached = restricted ? nullptr : workspace.find(part);
  if (cached && cached->size > 0) {
    std::uint32_t begin = offset;
    for (size_t i = 0; i < cached->size; ++i) {
      tokens.push_back({cached->ids[i], begin, offset + cached->ends[i]});
      begin = offset + cached->ends[i];
    }
    return;
  }
  start(part, workspace);
  if (workspace.symbols_.size() <= kShortWord) {
    merge_short(restricted, workspace);
  } else {
    merge_long(restricted, workspace);
  }
  const std::vector<WordToken>& symbols = workspace.symbols_;
  bool contiguous = cached && !symbols.empty() && symbols.size() <= kMaxCachedTokens &&
                    symbols.back().end == part.size() && symbols.front().begin == 0;
  for (size_t i = 0; i < symbols.size(); ++i) {
    contiguous = contiguous && (i == 0 || symbols[i].begin == symbols[i - 1].end);
    tokens.push_back({symbols[i].id, offset + symbols[i].begin, offset + symbols[i].end});
  }
  if (!contiguous) return;
  cached->size = static_cast<std::uint8_t>(symbols.size());
  for (size_t i = 0; i < symbols.size(); ++i) {
    cached->ids[i] = symbols[i].id;
    cached->ends[i] = static_cast<std::uint8_t>(symbols[i].end);
  }
}

const BpeModel::Unit& BpeModel::unit_at(std::string_view word, size_t offset, size_t& length,
                                        Unit& storage) const {
  if (has_affixes()) {
    length = bytes_ ? 1 : utf8_length(word[offset]);
    storage = make_unit(with_affixes(word, offset, length));
    return storage;
  }
  if (bytes_) {
    length = 1;
    return byte_units_[static_cast<unsigned char>(word[offset])];
  }
  size_t end = offset;
  const auto found = characters_.find(next_code_point(word, end));
  length = end - offset;
  if (found != characters_.end()) return found->second;
  storage = make_unit(word.substr(offset, length));
  return storage;
}

// Fills the symbols with the units of `part`. Unknown ones become the unknown token (one for a run of them if
// they are fused), written when the next known unit comes, or nothing if the model has none.
void BpeModel::start(std::string_view part, BpeWorkspace& workspace) const {
  std::vector<WordToken>& symbols = workspace.symbols_;
  symbols.clear();
  WordToken pending{-1, 0, 0};
  const auto flush = [&] {
    if (pending.id >= 0) symbols.push_back(pending);
    pending.id = -1;
  };
  Unit storage;
  for (size_t at = 0, length = 0; at < part.size(); at += length) {
    const Unit& unit = unit_at(part, at, length, storage);
    const auto begin = static_cast<std::uint32_t>(at);
    const auto end = static_cast<std::uint32_t>(at + length);
    if (unit.id >= 0) {
      flush();
      symbols.push_back({unit.id, begin, end});
    } else if (!unit.fallback.empty()) {
      for (const TokenId id : unit.fallback) symbols.push_back({id, begin, end});
    } else if (has_unknown_) {
      if (unknown_ < 0) {
        throw model_error("[" + place_ +
                          "] the text needs the unknown token, which is not in the vocabulary");
      }
      if (pending.id >= 0 && fuse_unknown_) {
        pending.end = end;
      } else {
        flush();
        pending = {unknown_, begin, end};
      }
    }
  }
  flush();
}

const Merge* BpeModel::find_merge(TokenId left, TokenId right, bool literal) const {
  const Merge* merge = merges_.find(left, right);
  return merge && literal && is_control(merge->result) ? nullptr : merge;
}

void BpeModel::merge_short(bool literal, BpeWorkspace& workspace) const {
  std::vector<WordToken>& symbols = workspace.symbols_;
  std::vector<const Merge*>& merges = workspace.merges_;
  merges.assign(symbols.size(), nullptr);
  const auto update = [&](size_t i) {
    merges[i] = i + 1 < symbols.size() ? find_merge(symbols[i].id, symbols[i + 1].id, literal) : nullptr;
  };
  for (size_t i = 0; i + 1 < symbols.size(); ++i) update(i);
  while (true) {
    size_t best = symbols.size();
    for (size_t i = 0; i + 1 < symbols.size(); ++i) {
      if (merges[i] && (best == symbols.size() || merges[i]->rank < merges[best]->rank)) best = i;
    }
    if (best == symbols.size()) return;
    symbols[best].id = merges[best]->result;
    symbols[best].end = std::max(symbols[best].end, symbols[best + 1].end);
    symbols.erase(symbols.begin() + static_cast<std::ptrdiff_t>(best) + 1);
    merges.erase(merges.begin() + static_cast<std::ptrdiff_t>(best) + 1);
    update(best);
    if (best > 0) update(best - 1);
  }
}

// A linked list of symbols and a heap of candidate pairs; a candidate whose pair has changed since is
// dropped.
void BpeModel::merge_long(bool literal, BpeWorkspace& workspace) const {
  std::vector<WordToken>& symbols = workspace.symbols_;
  std::vector<std::int32_t>& previous = workspace.previous_;
  std::vector<std::int32_t>& next = workspace.next_;
  auto& heap = workspace.heap_;
  const auto size = static_cast<std::int32_t>(symbols.size());
  previous.resize(symbols.size());
  next.resize(symbols.size());
  heap.clear();
  const auto propose = [&](std::int32_t left) {
    const std::int32_t right = next[static_cast<size_t>(left)];
    if (right == size) return false;
    const Merge* merge =
        find_merge(symbols[static_cast<size_t>(left)].id, symbols[static_cast<size_t>(right)].id, literal);
    if (merge) heap.push_back({*merge, static_cast<std::uint32_t>(left)});
    return merge != nullptr;
  };
  for (std::int32_t i = 0; i < size; ++i) {
    previous[static_cast<size_t>(i)] = i - 1;
    next[static_cast<size_t>(i)] = i + 1;
  }
  for (std::int32_t i = 0; i < size; ++i) propose(i);
  std::make_heap(heap.begin(), heap.end());
  while (!heap.empty()) {
    const auto candidate = heap.front();
    std::pop_heap(heap.begin(), heap.end());
    heap.pop_back();
    WordToken& left = symbols[candidate.position];
    const std::int32_t right = next[candidate.position];
    if (left.id < 0 || right == size) continue;
    WordToken& taken = symbols[static_cast<size_t>(right)];
    const Merge* merge = find_merge(left.id, taken.id, literal);
    if (!merge || merge->result != candidate.merge.result) continue;
    left.id = merge->result;
    left.end = std::max(left.end, taken.end);
    taken.id = -1;
    const std::int32_t after = next[static_cast<size_t>(right)];
    next[candidate.position] = after;
    const auto position = static_cast<std::int32_t>(candidate.position);
    if (after < size) previous[static_cast<size_t>(after)] = position;
    if (propose(position)) std::push_heap(heap.begin(), heap.end());
    const std::int32_t before = previous[candidate.position];
    if (before >= 0 && propose(before)) std::push_heap(heap.begin(), heap.end());
  }
  std::erase_if(symbols, [](const WordToken& symbol) { return symbol.id < 0; });
  for (auto* buffer : {&previous, &next}) {
    if (buffer->capacity() > kCacheSlots) std::vector<std::int32_t>().swap(*buffer);
  }
  if (heap.capacity() > kCacheSlots) std::remove_reference_t<decltype(heap)>().swap(heap);
}

}  // namespace ddro::text
