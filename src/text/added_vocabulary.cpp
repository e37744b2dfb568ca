#include "text/added_vocabulary.h"

#include <algorithm>

namespace ddro::text {

const AddedToken& AddedVocabulary::add(AddedToken token, const TokenModel& model) {
  const auto known = by_content_.find(token.content);
  const bool is_new = known == by_content_.end();
  if (is_new) {
    const auto in_model = model.vocabulary().find(token.content);
    const TokenId next = std::max(largest_ + 1, static_cast<TokenId>(model.vocabulary_size()));
    token.id = in_model == model.vocabulary().end() ? next : in_model->second;
  } else {
    token.id = known->second->id;
  }
  largest_ = std::max(largest_, token.id);

  AddedToken& entry = is_new ? tokens_.emplace_back() : *known->second;
  const bool was_special = !is_new && entry.special;
  if (token.special && !was_special) special_.push_back({&entry, token.normalized});
  entry = std::move(token);
  entry.special = entry.special || was_special;
  if (is_new) by_content_.emplace(entry.content, &entry);
  return entry;
}

const AddedToken* AddedVocabulary::find(std::string_view content) const {
  const auto found = by_content_.find(content);
  return found == by_content_.end() ? nullptr : found->second;
}

std::vector<AddedVocabulary::Search> AddedVocabulary::searches() const {
  std::vector<Search> result = special_;
  for (const AddedToken& token : tokens_) result.push_back({&token, token.normalized});
  return result;
}

}  // namespace ddro::text
