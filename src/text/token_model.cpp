#include "text/token_model.h"

#include "text/bpe_model.h"
#include "text/unigram_model.h"
#include "text/word_models.h"

namespace ddro::text {
void TokenModel::set_control_ids(const std::vector<TokenId>& ids) {
  for (const TokenId id : ids) {
    control_.add(id);
    control_reachable_ = control_reachable_ || can_produce(id);
  }
}

void TokenModel::read_vocabulary(const Component& component) {
  const Component vocab = component.child("vocab");
  std::unordered_map<TokenId, const std::string*> owners;
  for (const auto& [token, id] : vocab.value().items()) {
    const TokenId number = token_id(id, vocab.place() + ": \"" + printable(token) + "\"");
    const auto entry = vocabulary_.emplace(token, number).first;
    const auto [owner, added] = owners.emplace(number, &entry->first);
    if (!added) {
      vocab.refuse("\"" + printable(*owner->second) + "\" and \"" + printable(token) +
                   "\" have the same id " + std::to_string(number));
    }
  }
}

std::string model_type(const Component& component) { return component.text_or("type", "BPE"); }

bool takes_bytes(const Component& component) { return model_type(component) == "BPE"; }

std::unique_ptr<TokenModel> make_token_model(const Component& component, bool bytes) {
  const std::string type = model_type(component);
  if (type == "BPE") return std::make_unique<BpeModel>(component, bytes);
  if (type == "Unigram") return std::make_unique<UnigramModel>(component);
  if (type == "WordPiece") return std::make_unique<WordPieceModel>(component);
  if (type == "WordLevel") return std::make_unique<WordLevelModel>(component);
  component.refuse("unknown model \"" + printable(type) + "\"");
}

}  // namespace ddro::text
