// Text to token ids and back, as Hugging Face's tokenizers do it on the same model folder.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ddro/base/span.h"

namespace ddro::text {

using TokenId = std::int32_t;

struct Encoding {
  std::vector<TokenId> ids;
  // offsets[i]: the bytes of the input that ids[i] stands for, white space included, before any trimming by a
  // post-processor. Ascending begins; a token made of part of a character carries that character's bytes, one
  // made of several joined characters carries all of theirs, and a prefix that was not in the input those of
  // what follows it.
  std::vector<Span> offsets;
};

// Immutable after construction; all members may be called from several threads.
class Tokenizer {
 public:
  virtual ~Tokenizer() = default;

  // Ids of `text` (valid UTF-8), nothing added in front or behind: Hugging Face's add_special_tokens=False.
  // Inside the bytes of `literal` (ascending, disjoint) no control token is recognised: its text is encoded
  // as ordinary text, as with Hugging Face's split_special_tokens. A control token is an added token that is
  // flagged special; one that overlaps a span by a byte is held back, and merging does not make one either.
  // (The unknown token may still come of a character that the vocabulary lacks.) No token crosses byte `cut`:
  // the ids in front of it are those of the text up to it, and the others begin no text (nothing is put in
  // front of them). Error(kInput) for text that is not UTF-8 or longer than 1 GiB; Error(kModel) where the
  // vocabulary has no way to write the text or its regular expression gives up.
  virtual Encoding encode(std::string_view text, std::span<const Span> literal = {},
                          size_t cut = std::string_view::npos) const = 0;

  // Text of `ids`; invalid byte sequences become U+FFFD, ids without a token nothing. Control tokens are
  // written out unless `skip_control`.
  virtual std::string decode(std::span<const TokenId> ids, bool skip_control = false) const = 0;

  // What the folder's post-processor puts in front of a text (BOS, usually), and behind it.
  virtual std::vector<TokenId> prefix_ids() const = 0;
  virtual std::vector<TokenId> suffix_ids() const = 0;

  // Largest id + 1.
  virtual TokenId id_limit() const = 0;
  // The id of a token by its exact string, or -1.
  virtual TokenId id_of(std::string_view token) const = 0;
  virtual std::string token_of(TokenId id) const = 0;
  virtual bool is_control(TokenId id) const = 0;

  // Bytes of `text` that would become a control token if it were not literal; empty when there is none.
  virtual std::vector<Span> find_control_text(std::string_view text) const = 0;
};

// The tokenizer that transformers' AutoTokenizer gives for the folder: tokenizer.json if it has one, else
// tokenizer.model as its fast tokenizer converts it, with what tokenizer_config.json, special_tokens_map.json
// and added_tokens.json add. Error(kModel) names the file and the component that is unknown or broken;
// nothing is approximated.
std::unique_ptr<Tokenizer> load_tokenizer(const std::filesystem::path& model_folder);

}  // namespace ddro::text
