// The tokenizer of a tokenizer.json.
#pragma once

#include <filesystem>
#include <memory>
#include <mutex>
#include <vector>

#include "ddro/text/tokenizer.h"
#include "text/added_tokens.h"
#include "text/bpe_model.h"
#include "text/decoder.h"
#include "text/normalizer.h"
#include "text/part_cache.h"
#include "text/post_processor.h"
#include "text/pre_tokenizer.h"

namespace ddro::text {

class JsonTokenizer : public Tokenizer {
 public:
  // Error(kModel) that names the file and the component that is unknown or broken.
  explicit JsonTokenizer(const std::filesystem::path& file);

  Encoding encode(std::string_view text, std::span<const Span> literal) const override;
  std::string decode(std::span<const TokenId> ids, bool skip_control) const override;
  std::vector<TokenId> prefix_ids() const override { return post_processor_.prefix; }
  std::vector<TokenId> suffix_ids() const override { return post_processor_.suffix; }
  TokenId id_limit() const override { return static_cast<TokenId>(tokens_.size()); }
  TokenId id_of(std::string_view token) const override;
  std::string token_of(TokenId id) const override;
  bool is_control(TokenId id) const override;
  std::vector<Span> find_control_text(std::string_view text) const override;

 private:
  // One of the calls that are under way: its input, its output, and what it borrowed.
  struct Call;
  struct Token {
    const std::string* text = nullptr;  // null: a hole in the vocabulary
    const AddedToken* added = nullptr;
  };

  void read_added_tokens(const Component& root);
  void add_token(const AddedToken& token, const Component& component);
  void check_ids(const Component& root) const;
  Token& token_slot(TokenId id);

  // Splits `text` at added tokens, normalizes, and hands each part on: `on_token(token, origin)` and
  // `on_text(part)`.
  template <typename OnToken, typename OnText>
  void for_each_part(std::string_view text, std::span<const Span> literal, const OnToken& on_token,
                     const OnText& on_text) const;
  void encode_part(const AlignedText& part, Call& call) const;
  void encode_known_part(const AlignedText& part, Call& call) const;

  std::vector<AddedToken> added_;
  AddedTokenFinder raw_finder_;         // tokens looked for in the text as it is
  AddedTokenFinder normalized_finder_;  // and in normalized text
  Normalizer normalizer_;
  PreTokenizer pre_tokenizer_;
  std::unique_ptr<BpeModel> model_;
  PostProcessor post_processor_;
  Decoder decoder_;
  std::vector<Token> tokens_;  // by id

  struct Workspace {
    PartCache parts;
    Pieces pieces;
    BpeWorkspace words;
    std::vector<WordToken> word_tokens;
  };
  mutable std::mutex workspaces_lock_;
  mutable std::vector<std::unique_ptr<Workspace>>
      workspaces_;  // idle ones: as many as calls ran side by side
};

// True when `span` and one of `spans` (ascending, disjoint) have a byte in common.
bool overlaps(std::span<const Span> spans, Span span);

// Error(kInput) unless `text` is valid UTF-8 of at most 1 GiB and the spans are ascending, disjoint and
// within it.
void check_input(std::string_view text, std::span<const Span> literal);

}  // namespace ddro::text
