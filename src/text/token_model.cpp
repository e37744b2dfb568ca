#include "text/token_model.h"

#include "text/bpe_model.h"
#include "text/unigram_model.h"

namespace ddro::text {

std::unique_ptr<TokenModel> make_token_model(const Component& component, bool bytes) {
  const std::string type = component.text_or("type", "BPE");
  if (type == "BPE") return std::make_unique<BpeModel>(component, bytes);
  if (type == "Unigram") return std::make_unique<UnigramModel>(component, bytes);
  component.refuse("unknown model \"" + printable(type) + "\"");
}

}  // namespace ddro::text
