// The tokenizer of a tokenizer.model: the sentencepiece library between the added tokens.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "ddro/text/tokenizer.h"
#include "text/added_tokens.h"
#include "text/aligned_text.h"
#include "text/sentencepiece_files.h"

namespace sentencepiece {
class SentencePieceProcessor;
}

namespace ddro::text {

class SentencePieceTokenizer : public Tokenizer {
 public:
  // Error(kModel) that names the file.
  explicit SentencePieceTokenizer(const std::filesystem::path& model_folder);
  ~SentencePieceTokenizer() override;

  Encoding encode(std::string_view text, std::span<const Span> literal) const override;
  std::string decode(std::span<const TokenId> ids, bool skip_control) const override;
  std::vector<TokenId> prefix_ids() const override;
  std::vector<TokenId> suffix_ids() const override;
  TokenId id_limit() const override { return id_limit_; }
  TokenId id_of(std::string_view token) const override;
  std::string token_of(TokenId id) const override;
  bool is_control(TokenId id) const override;
  std::vector<Span> find_control_text(std::string_view text) const override;

 private:
  void load_model(const std::filesystem::path& file);
  void add_tokens(const std::string& place);
  void add_token(AddedToken token, const std::string& place);
  AlignedText prepare(std::string_view text) const;
  std::vector<TextPart> split(const AlignedText& text, std::span<const Span> literal) const;
  void encode_part(const AlignedText& text, Encoding& result) const;
  std::string decode_run(std::vector<std::string> tokens) const;
  std::string decode_pieces(const std::vector<std::string>& pieces) const;

  SentencePieceSettings settings_;
  std::unique_ptr<sentencepiece::SentencePieceProcessor> processor_;
  std::map<TokenId, AddedToken> added_;
  std::map<TokenId, AddedToken> plain_;  // without the flags of white space and words, for finder_
  std::map<std::string, TokenId, std::less<>> added_ids_;
  AddedTokenFinder finder_;
  size_t unknown_length_ = 0;  // pieces of the unknown token's text
  TokenId num_pieces_ = 0;
  TokenId id_limit_ = 0;
};

}  // namespace ddro::text
