// Completions of prompts, sampled from a model with a key/value cache.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "ddro/generate/generate_options.h"
#include "ddro/models/causal_lm.h"
#include "ddro/text/tokenizer.h"

namespace ddro::generate {

using TokenIds = std::vector<text::TokenId>;

struct Completion {
  size_t prompt = 0;  // index
  std::int64_t sample = 0;
  TokenIds ids;           // the end token included
  std::string text;       // without the end token or stop text; other control tokens are written out
  bool finished = false;  // by an end token or a stop text, not by a limit
  double logp = 0;        // sum over ids of the model's own log-probability, whatever the temperature
};

// Called with each completion when it is whole; those of one prompt or of several come in any order.
using OnCompletion = std::function<void(Completion)>;

// Every `of`-th prompt from `first` on: the share of one of several that complete the same prompts.
struct PromptShare {
  size_t first = 0;
  size_t of = 1;
};

// Samples num_samples completions of each prompt in `share`; a completion ends with one of `end_ids`, a stop
// text, max_new_tokens, or the model's last position. At most batch_size sequences go on side by side, and
// the next prompt takes the place of a finished one; samples of a prompt share its forward.
//
// A sample's random numbers are a function of (seed, prompt, sample, token) alone: batch size and the other
// prompts change it only where they change the rounding of a probability that decides a choice.
//
// False when `stop`, asked before each forward, became true before all were whole.
//
// Error(kInput) for a prompt without tokens or as long as the model has positions, Error(kModel) for an id
// that the model lacks or log-probabilities that are not numbers.
bool generate(
    const models::CausalLm& model, const text::Tokenizer& tokenizer, const TokenIds& end_ids,
    const std::vector<TokenIds>& prompts, const GenerateOptions& options, const OnCompletion& on_completion,
    const std::function<bool()>& stop = [] { return false; }, const PromptShare& share = {});

}  // namespace ddro::generate
