// A tokenizer.json and what the files beside it say about its tokens.
#pragma once

#include <memory>
#include <mutex>
#include <vector>

#include "ddro/text/tokenizer.h"
#include "text/added_vocabulary.h"
#include "text/decoder.h"
#include "text/normalizer.h"
#include "text/part_cache.h"
#include "text/post_processor.h"
#include "text/pre_tokenizer.h"
#include "text/token_model.h"
#include "text/tokenizer_config.h"

namespace ddro::text {

class JsonTokenizer : public Tokenizer {
 public:
  // `json`: a tokenizer.json, or what convert_sentencepiece made (`of_json` false). Error(kModel) with
  // `place` and the component that is unknown or broken.
  JsonTokenizer(Value json, const std::string& place, const TokenizerConfig& config, bool of_json);

  Encoding encode(std::string_view text, std::span<const Span> literal, size_t cut) const override;
  std::string decode(std::span<const TokenId> ids, bool skip_control) const override;
  std::vector<TokenId> prefix_ids() const override { return post_processor_.prefix; }
  std::vector<TokenId> suffix_ids() const override { return post_processor_.suffix; }
  TokenId id_limit() const override { return static_cast<TokenId>(tokens_.size()); }
  TokenId id_of(std::string_view token) const override;
  std::string token_of(TokenId id) const override;
  bool is_control(TokenId id) const override;
  std::vector<Span> find_control_text(std::string_view text) const override;

  // "BPE", "Unigram", "WordPiece" or "WordLevel".
  const std::string& model_type() const { return model_type_; }

  // What of the tokens' rules is not the file's own: one line for each added token and each end of a text.
  std::string describe_rules() const;

 private:
  // One of the calls that are under way: its input, its output, and what it borrowed.
  struct Call;
  struct Token {
    const std::string* text = nullptr;  // null: a hole in the vocabulary
    const AddedToken* added = nullptr;
  };

  void add_tokens(const std::vector<AddedToken>& tokens, const std::string& place);
  void find_added_tokens();
  void make_post_processor(const TokenizerConfig& config);
  void check_ids(const std::string& place) const;
  Token& token_slot(TokenId id);

  // Splits the bytes `range` of `text` at added tokens, normalizes, and hands each part on: `on_token(token,
  // origin)` and `on_text(part)`.
  template <typename OnToken, typename OnText>
  void for_each_part(std::string_view text, Span range, std::span<const Span> literal,
                     const OnToken& on_token, const OnText& on_text) const;
  void encode_range(std::string_view text, Span range, Call& call) const;
  void encode_part(const AlignedText& part, Call& call) const;
  void encode_known_part(const AlignedText& part, Call& call) const;

  AddedVocabulary added_;
  AddedTokenFinder raw_finder_;         // tokens looked for in the text as it is
  AddedTokenFinder normalized_finder_;  // and in normalized text
  Normalizer normalizer_;
  PreTokenizer pre_tokenizer_;
  std::string model_type_;
  std::unique_ptr<TokenModel> model_;
  PostProcessor post_processor_;
  Decoder decoder_;
  std::vector<Token> tokens_;  // by id

  struct Workspace {
    PartCache parts;
    Pieces pieces;
    std::unique_ptr<TokenWorkspace> words;
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
