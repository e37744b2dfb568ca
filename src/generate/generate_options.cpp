#include "ddro/generate/generate_options.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "ddro/base/error.h"

namespace ddro::generate {
namespace {

constexpr std::int64_t kMaxCount = std::numeric_limits<std::int32_t>::max();

// "eval.top_p", or "--top-p".
std::string key_of(const std::string& section, std::string name) {
  if (!section.empty()) return section + "." + name;
  std::replace(name.begin(), name.end(), '_', '-');
  return "--" + name;
}

void require_count(const std::string& key, std::int64_t value, std::int64_t least) {
  if (value >= least && value <= kMaxCount) return;
  throw option_error(key, std::to_string(value),
                     "an integer from " + std::to_string(least) + " to " + std::to_string(kMaxCount));
}

}  // namespace

void GenerateOptions::validate(const std::string& section) const {
  const auto key = [&](const char* name) { return key_of(section, name); };
  if (!(sampling.temperature >= 0 && std::isfinite(sampling.temperature))) {
    throw option_error(key("temperature"), printable(sampling.temperature),
                       "a number of at least 0 (0: greedy)");
  }
  require_count(key("top_k"), sampling.top_k, 0);
  if (!(sampling.top_p > 0 && sampling.top_p <= 1)) {
    throw option_error(key("top_p"), printable(sampling.top_p), "a number above 0 and at most 1");
  }
  require_count(key("max_new_tokens"), max_new_tokens, 1);
  require_count(key("num_samples"), num_samples, 1);
  require_count(key("batch_size"), batch_size, 1);
  if (seed < 0) throw option_error(key("seed"), std::to_string(seed), "an integer of at least 0");
  for (const std::string& text : stop) {
    if (text.empty()) throw option_error(key("stop"), "an empty text", "a text to stop at");
  }
}

}  // namespace ddro::generate
