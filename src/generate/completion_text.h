// A completion's text while its tokens arrive.
#pragma once

#include <string>
#include <vector>

#include "ddro/text/tokenizer.h"

namespace ddro::generate {

class CompletionText {
 public:
  // `last_prompt_id`: the token before the completion, for decoders that drop a text's first space. Both
  // references outlive the object.
  CompletionText(const text::Tokenizer& tokenizer, const std::vector<std::string>& stop,
                 text::TokenId last_prompt_id);

  // Adds a token; true when the text now holds a stop text, and is cut before the first of them.
  bool push(text::TokenId id);

  // The whole text, as it is when no further token comes; control tokens are written out.
  std::string take();

 private:
  bool add(const std::string& decoded);

  const text::Tokenizer* tokenizer_;
  const std::vector<std::string>* stop_;
  // The last token whose text is complete, and those behind it that end within a character. Their decoded
  // text continues what the first of them alone gives.
  std::vector<text::TokenId> tail_;
  size_t known_ = 0;  // bytes of the tail's decoded text that are in text_
  std::string text_;
  bool stopped_ = false;
};

}  // namespace ddro::generate
