#include "generate/completion_text.h"

#include <algorithm>

namespace ddro::generate {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

}  // namespace

CompletionText::CompletionText(const text::Tokenizer& tokenizer, const std::vector<std::string>& stop,
                               text::TokenId last_prompt_id)
    : tokenizer_(&tokenizer), stop_(&stop), tail_{last_prompt_id}, known_(tokenizer.decode(tail_).size()) {}

bool CompletionText::push(text::TokenId id) {
  tail_.push_back(id);
  const std::string decoded = tokenizer_->decode(tail_);
  if (decoded.ends_with(kReplacement)) return false;  // perhaps the beginning of a character
  const bool stopped = add(decoded);
  tail_ = {id};
  known_ = tokenizer_->decode(tail_).size();
  return stopped;
}

// Appends what is new of the tail's text and looks for a stop text that ends in it.
bool CompletionText::add(const std::string& decoded) {
  const size_t before = text_.size();
  text_.append(decoded, std::min(known_, decoded.size()));
  size_t first = std::string::npos;
  for (const std::string& stop : *stop_) {
    const size_t begin = before - std::min(before, stop.size() - 1);
    first = std::min(first, text_.find(stop, begin));
  }
  if (first == std::string::npos) return false;
  text_.resize(first);
  stopped_ = true;
  return true;
}

std::string CompletionText::take() {
  if (!stopped_) add(tokenizer_->decode(tail_));
  return std::move(text_);
}

}  // namespace ddro::generate
