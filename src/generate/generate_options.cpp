#include "ddro/generate/generate_options.h"

#include <cmath>
#include <limits>

#include "ddro/base/error.h"

namespace ddro::generate {
namespace {

constexpr std::int64_t kMaxCount = std::numeric_limits<std::int32_t>::max();

void require_count(const char* key, std::int64_t value, std::int64_t least) {
  if (value >= least && value <= kMaxCount) return;
  throw option_error(key, std::to_string(value),
                     "an integer from " + std::to_string(least) + " to " + std::to_string(kMaxCount));
}

}  // namespace

void GenerateOptions::validate() const {
  if (!(sampling.temperature >= 0 && std::isfinite(sampling.temperature))) {
    throw option_error("--temperature", printable(sampling.temperature),
                       "a number of at least 0 (0: greedy)");
  }
  require_count("--top-k", sampling.top_k, 0);
  if (!(sampling.top_p > 0 && sampling.top_p <= 1)) {
    throw option_error("--top-p", printable(sampling.top_p), "a number above 0 and at most 1");
  }
  require_count("--max-new-tokens", max_new_tokens, 1);
  require_count("--num-samples", num_samples, 1);
  require_count("--batch-size", batch_size, 1);
  if (seed < 0) throw option_error("--seed", std::to_string(seed), "an integer of at least 0");
  for (const std::string& text : stop) {
    if (text.empty()) throw option_error("--stop", "an empty text", "a text to stop at");
  }
}

}  // namespace ddro::generate
