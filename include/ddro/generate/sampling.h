// The next token of a row of logits.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "ddro/generate/generate_options.h"

namespace ddro::generate {

struct Candidate {
  size_t token = 0;
  double probability = 0;
};

// The distribution that is sampled from, as Hugging Face defines it: softmax(logits / temperature), of which
// the top_k most probable tokens are kept (those as probable as the last of them too), and of these the most
// probable ones up to the first whose addition brings their share to top_p (of equally probable ones the
// lowest ids, a choice that Hugging Face leaves open); rescaled to sum 1. At least one token is kept;
// temperature 0 keeps the first of the largest logits. In an order that depends on the arguments alone.
// Logits: not empty, finite or minus infinity, one of them finite.
std::vector<Candidate> token_distribution(std::span<const double> logits, const SamplingOptions& options);

// The token of that distribution which `unit`, uniform in [0, 1), selects.
size_t sample_token(std::span<const double> logits, const SamplingOptions& options, double unit);

}  // namespace ddro::generate
