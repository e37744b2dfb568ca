// The tokens that are added to a model's vocabulary, and the ids they get.
#pragma once

#include <deque>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "text/added_tokens.h"
#include "text/token_model.h"

namespace ddro::text {

class AddedVocabulary {
 public:
  // Adds as Hugging Face's tokenizers do: the token keeps the id of its text, if that is known, else it gets
  // the next one behind all others. A text that is added again takes the new flags, but stays special.
  const AddedToken& add(AddedToken token, const TokenModel& model);

  const AddedToken* find(std::string_view content) const;
  const std::deque<AddedToken>& tokens() const { return tokens_; }  // in the order of their first addition

  // A token to look for, in normalized text or in the text as it is. Special ones first; where two have the
  // same form, the first counts. A special token whose flag has changed since is looked for in both ways.
  struct Search {
    const AddedToken* token;
    bool normalized;
  };
  std::vector<Search> searches() const;

 private:
  std::deque<AddedToken> tokens_;  // stay where they are
  std::map<std::string, AddedToken*, std::less<>> by_content_;
  std::vector<Search> special_;  // with the flag of their first addition as special
  TokenId largest_ = -1;
};

}  // namespace ddro::text
