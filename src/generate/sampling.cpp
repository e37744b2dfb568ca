#include "ddro/generate/sampling.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <tuple>

#include "ddro/base/error.h"

namespace ddro::generate {
namespace {

// Tokens to sort at first, and by how much more each time they do not reach top_p.
constexpr size_t kFirstSorted = 64;
constexpr size_t kSortedGrowth = 4;

bool more_probable(const Candidate& a, const Candidate& b) {
  return std::tie(b.probability, a.token) < std::tie(a.probability, b.token);
}

// The k-th largest logit.
double top_k_threshold(std::span<const double> logits, std::int64_t top_k) {
  std::vector<double> sorted(logits.begin(), logits.end());
  const auto kth = sorted.begin() + (top_k - 1);
  std::nth_element(sorted.begin(), kth, sorted.end(), std::greater<>());
  return *kth;
}

// Sorts as far as needed: a few tokens usually have nearly all of the probability.
void keep_top_p(std::vector<Candidate>& candidates, double top_p) {
  double share = 0;
  size_t sorted = 0;
  for (size_t until = kFirstSorted; sorted < candidates.size(); until *= kSortedGrowth) {
    const size_t end = std::min(until, candidates.size());
    const auto begin = candidates.begin() + static_cast<std::ptrdiff_t>(sorted);
    std::partial_sort(begin, candidates.begin() + static_cast<std::ptrdiff_t>(end), candidates.end(),
                      more_probable);
    for (; sorted < end; ++sorted) {
      if (sorted > 0 && share >= top_p) {
        candidates.resize(sorted);
        return;
      }
      share += candidates[sorted].probability;
    }
  }
}

void rescale(std::vector<Candidate>& candidates) {
  double total = 0;
  for (const Candidate& candidate : candidates) total += candidate.probability;
  for (Candidate& candidate : candidates) candidate.probability /= total;
}

}  // namespace

std::vector<Candidate> token_distribution(std::span<const double> logits, const SamplingOptions& options) {
  DDRO_CHECK(!logits.empty(), "no logits to choose from");
  const auto largest = std::max_element(logits.begin(), logits.end());
  if (options.temperature == 0) return {{static_cast<size_t>(largest - logits.begin()), 1.0}};
  const bool some = options.top_k > 0 && static_cast<size_t>(options.top_k) < logits.size();
  const double threshold = some ? top_k_threshold(logits, options.top_k) : -HUGE_VAL;
  std::vector<Candidate> candidates;
  if (!some) candidates.reserve(logits.size());
  for (size_t token = 0; token < logits.size(); ++token) {
    if (logits[token] < threshold) continue;
    candidates.push_back({token, std::exp((logits[token] - *largest) / options.temperature)});
  }
  rescale(candidates);
  if (options.top_p < 1) {
    keep_top_p(candidates, options.top_p);
    rescale(candidates);
  }
  return candidates;
}

size_t sample_token(std::span<const double> logits, const SamplingOptions& options, double unit) {
  const std::vector<Candidate> candidates = token_distribution(logits, options);
  size_t chosen = 0;
  double sum = 0;
  for (const Candidate& candidate : candidates) {
    if (candidate.probability == 0) continue;
    chosen = candidate.token;  // the last one, should rounding leave the sum below `unit`
    sum += candidate.probability;
    if (unit < sum) break;
  }
  return chosen;
}

}  // namespace ddro::generate
