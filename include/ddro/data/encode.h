// Preference row -> token ids, with the boundary between prompt and completion found by character offset.
#pragma once

#include <cstdint>
#include <ctime>
#include <optional>
#include <string>
#include <vector>

#include "ddro/data/data_options.h"
#include "ddro/data/dataset.h"
#include "ddro/data/preference_row.h"
#include "ddro/data/text_source.h"

namespace ddro::data {

struct EncodeResult {
  EncodedExample example;
  std::optional<std::string> unusable;  // why, when the row cannot be used; the whole pair with either side
  std::string remedy;                   // for whoever is told so; empty where the reason says it
  bool overlength = false;              // the reason is its length: on_overlength decides, not on_bad_row
  std::int64_t length = 0;              // tokens of its longest sequence, before truncation
  int boundary_merges = 0;              // sequences with a token that spans the boundary
  bool control_text = false;
  bool truncated = false;
  int shorter_prompts = 0;  // completions before which the generation prompt is not whole
  int other_turns = 0;      // completions with messages that are not the assistant's
};

// Encodes one row under `options`.
//
// Strings: prompt and completion are tokenized as one text, and the completion begins with the first token
// that reaches past the prompt's last byte; prefix_ids in front (unless the text begins with them already),
// the first of end_ids behind a finished completion (unless it ends with one already). Messages: the prompt
// is the rendering with the generation prompt, with the tokens that encode_prompt gives for it. Where the
// rendering of everything does not begin with it, it is their common beginning, which must hold all of the
// prompt's messages; it ends before the answer's own text. A finished completion ends with the first end
// token; an unfinished one where its content ends. Of a completion of several messages this is so of the last
// one; all its tokens are the completion's. Control tokens are recognised only where the template wrote them
// (a token whose two ends are the template's is the template's, whatever role name stands inside), or
// anywhere with parse_control_tokens.
//
// Whatever keeps the row from being used is reported in `unusable`: also that the template refuses its
// messages or fails on them, that it renders the prompt's messages otherwise with the completion, and that it
// gives no end token. Error(kInput) with the row's file:line for messages without a
// template; Error(kModel) for a template that needs what there is not.
EncodeResult encode_row(const PreferenceRow& row, const TextSource& text, const DataOptions& options);

inline EncodeResult encode_row(const PreferenceRow& row, const text::ModelText& text,
                               const DataOptions& options, std::time_t now) {
  return encode_row(row, make_text_source(text, options, now), options);
}

// The tokens that stand before a completion of `row.prompt` (of a string: before one whose first token does
// not span the boundary), as encode_row gives them. Error(kInput) beginning with "[data] where: " for a
// prompt without tokens, or a template that is missing or cannot render the messages.
std::vector<text::TokenId> encode_prompt(const PreferenceRow& row, const TextSource& text,
                                         const DataOptions& options);

// The tokens of a template's output, with control tokens where encode_row recognises them.
text::Encoding encode_rendered(const text::RenderedText& rendered, const text::Tokenizer& tokenizer,
                               bool parse_control_tokens);

}  // namespace ddro::data
