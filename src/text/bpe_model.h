// Byte pair encoding of one piece of text, as the BPE model of Hugging Face's tokenizers does it.
#pragma once

#include <array>
#include <bitset>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "text/component.h"
#include "text/pair_table.h"
#include "text/token_model.h"

namespace ddro::text {

// Buffers, and a cache of short words in fixed memory.
class BpeWorkspace : public TokenWorkspace {
 public:
  BpeWorkspace();

 private:
  friend class BpeModel;
  // The tokens of one word of up to 23 bytes; each word has one place, which the last one to come takes.
  struct alignas(64) CachedWord {  // one cache line
    std::uint64_t key[3];          // the word's bytes, then zeros; the last byte is its length
    std::uint8_t size;
    std::uint8_t ends[7];
    TokenId ids[8];
  };
  struct Candidate {
    Merge merge;
    std::uint32_t position;
    bool operator<(const Candidate& other) const {  // the largest comes first
      return merge.rank != other.merge.rank ? merge.rank > other.merge.rank : position > other.position;
    }
  };
  CachedWord* find(std::string_view word);

  std::vector<CachedWord> cache_;
  std::vector<WordToken> symbols_;
  std::vector<const Merge*> merges_;  // of each symbol with the next one
  std::vector<std::int32_t> previous_;
  std::vector<std::int32_t> next_;
  std::vector<Candidate> heap_;
};

class BpeModel : public TokenModel {
 public:
  // `bytes`: words are bytes, and the vocabulary writes them in the byte alphabet; else words are UTF-8.
  // Error(kModel): unknown fields, dropout (encoding is exact), double ids, merges of unknown tokens.
  BpeModel(const Component& component, bool bytes);

  std::unique_ptr<TokenWorkspace> make_workspace() const override;
  // Time n log n, memory linear in the word's length.
  void encode(std::string_view word, bool literal, TokenWorkspace& workspace,
              std::vector<WordToken>& tokens) const override;

 private:
  // How a character (or byte) starts out.
  struct Unit {
    TokenId id = -1;                // its own token, if it has one
    std::vector<TokenId> fallback;  // else its byte tokens, if all exist
  };

  void index_vocabulary(const Component& component);
  void read_merges(const Component& component);
  void add_merge(const std::string& left, const std::string& right, std::uint32_t rank,
                 const Component& component);
  void make_byte_units();
  Unit make_unit(std::string_view character) const;
  bool has_affixes() const { return !prefix_.empty() || !suffix_.empty(); }
  // As the vocabulary writes it: with the prefix unless the word begins there, with the suffix if it ends.
  std::string with_affixes(std::string_view word, size_t offset, size_t length) const;
  // The unit at `offset` and its bytes; `storage` holds it if it has no token of its own.
  const Unit& unit_at(std::string_view word, size_t offset, size_t& length, Unit& storage) const;
  bool can_produce(TokenId id) const override {
    return ignore_merges_ ||
           (static_cast<size_t>(id) < produced_.size() && produced_[static_cast<size_t>(id)]);
  }

  void encode_long(std::string_view word, bool literal, BpeWorkspace& workspace,
                   std::vector<WordToken>& tokens) const;
  void encode_part(std::string_view part, std::uint32_t offset, bool literal, BpeWorkspace& workspace,
                   std::vector<WordToken>& tokens) const;
  void start(std::string_view part, BpeWorkspace& workspace) const;
  const Merge* find_merge(TokenId left, TokenId right, bool literal) const;
  void merge_short(bool literal, BpeWorkspace& workspace) const;
  void merge_long(bool literal, BpeWorkspace& workspace) const;

  bool bytes_;
  bool fuse_unknown_ = false;
  bool ignore_merges_ = false;
  bool has_unknown_ = false;
  TokenId unknown_ = -1;  // -1: the vocabulary lacks it, so that a text that needs it is refused
  std::string place_;
  std::string prefix_, suffix_;                    // of what continues a word; of what ends one
  StringIds words_;                                // as words write them, for ignore_merges
  std::array<TokenId, 256> fallback_;              // byte tokens; -1 where there is none or no byte fallback
  std::unordered_map<char32_t, Unit> characters_;  // those with a token of their own
  std::vector<Unit> byte_units_;                   // 256, of a model of bytes
  PairTable merges_{0};
  std::bitset<65536> joined_;   // two bytes side by side within some merged token: first * 256 + second
  std::vector<bool> produced_;  // by some merge
};

}  // namespace ddro::text
