#include "ddro/data/sampler.h"

#include <algorithm>
#include <array>
#include <utility>

#include "ddro/base/error.h"
#include "ddro/base/random.h"
#include "ddro/data/mixture.h"

namespace ddro::data {
namespace {

// Streams of the run's seed that belong to the sample order: one a stratum and epoch, one for what an epoch
// draws of a mixture, and one for each step's own order.
constexpr std::uint64_t kSamplerStream = 0x73616D706C6572;  // "sampler"
constexpr std::uint64_t kStreamsPerEpoch = 4;
constexpr std::uint64_t kDraws = 2;
constexpr std::uint64_t kStepOrder = 3;

std::uint64_t stream_of(std::int64_t epoch, std::uint64_t which) {
  return static_cast<std::uint64_t>(epoch) * kStreamsPerEpoch + which;
}

std::vector<std::int64_t> permuted(const std::vector<std::int64_t>& items, std::uint64_t seed,
                                   std::uint64_t stream) {
  std::vector<std::int64_t> result;
  result.reserve(items.size());
  for (const std::int64_t i : random_permutation(static_cast<std::int64_t>(items.size()), seed, stream)) {
    result.push_back(items[static_cast<size_t>(i)]);
  }
  return result;
}

}  // namespace

StratifiedSampler::StratifiedSampler(const Dataset& dataset, std::int64_t batch_size, std::uint64_t seed)
    : strata_(2),
      sizes_(2),
      pairs_(dataset.kind == RowKind::kPaired),
      batch_size_(batch_size),
      seed_(random_bits(seed, kSamplerStream, 0)) {
  DDRO_CHECK(batch_size >= 1, "batch size " + std::to_string(batch_size));
  std::int64_t i = 0;
  for (const MixturePart& part : dataset.parts()) {
    std::array<Share, 2> shares;
    for (; i < part.end; ++i) {
      const EncodedExample& example = dataset.examples[static_cast<size_t>(i)];
      const bool first =
          example.is_pair() || example.sequences.front().completion_class == CompletionClass::kChosen;
      shares[first ? 0 : 1].examples.push_back(i);
    }
    for (size_t stratum = 0; stratum < shares.size(); ++stratum) {
      Share& share = shares[stratum];
      share.num_draws = num_draws(part.weight, static_cast<std::int64_t>(share.examples.size()));
      sizes_[stratum] += share.num_draws;
      strata_[stratum].push_back(std::move(share));
    }
  }
  num_examples_ = sizes_[0] + sizes_[1];
  DDRO_CHECK(num_examples_ > 0, "a sampler of no examples");
  steps_per_epoch_ = (num_examples_ - 1) / batch_size + 1;
}

std::int64_t StratifiedSampler::stratum_offset(size_t stratum, std::int64_t step) const {
  // The first stratum's share of all examples so far, rounded; the second has the rest. Differences of these
  // offsets are within one of the exact share, and add up to the step's size.
  const std::int64_t examples = std::min(step * batch_size_, num_examples_);
  const std::int64_t first = (2 * sizes_[0] * examples + num_examples_) / (2 * num_examples_);
  return stratum == 0 ? first : examples - first;
}

std::int64_t StratifiedSampler::one_class_steps() const {
  if (pairs_) return 0;
  std::int64_t count = 0;
  for (std::int64_t step = 0; step < steps_per_epoch_; ++step) {
    count += stratum_offset(0, step) == stratum_offset(0, step + 1) ||
             stratum_offset(1, step) == stratum_offset(1, step + 1);
  }
  return count;
}

// What an epoch has of a stratum, in the data's order where it has all of it.
std::vector<std::int64_t> StratifiedSampler::drawn(size_t stratum, std::int64_t epoch) const {
  std::vector<std::int64_t> result;
  const std::uint64_t seed = random_bits(seed_, stream_of(epoch, kDraws), stratum);
  for (size_t part = 0; part < strata_[stratum].size(); ++part) {
    const auto& [examples, num_draws] = strata_[stratum][part];
    auto left = static_cast<size_t>(num_draws);
    for (; left >= examples.size() && left > 0; left -= examples.size())
      result.insert(result.end(), examples.begin(), examples.end());
    if (left == 0) continue;
    const std::vector<std::int64_t> order = permuted(examples, seed, part);
    result.insert(result.end(), order.begin(), order.begin() + static_cast<std::ptrdiff_t>(left));
  }
  return result;
}

const StratifiedSampler::Strata& StratifiedSampler::shuffled(std::int64_t epoch) const {
  if (epoch != shuffled_epoch_) {
    shuffled_.clear();
    for (size_t i = 0; i < strata_.size(); ++i)
      shuffled_.push_back(permuted(drawn(i, epoch), seed_, stream_of(epoch, i)));
    shuffled_epoch_ = epoch;
  }
  return shuffled_;
}

std::vector<std::int64_t> StratifiedSampler::step(const SamplerState& state) const {
  DDRO_CHECK(state.epoch >= 0 && state.step_in_epoch >= 0 && state.step_in_epoch < steps_per_epoch_,
             "step " + std::to_string(state.step_in_epoch) + " of " + std::to_string(steps_per_epoch_));
  std::vector<std::int64_t> examples;
  const Strata& order = shuffled(state.epoch);
  for (size_t i = 0; i < order.size(); ++i) {
    examples.insert(examples.end(), order[i].begin() + stratum_offset(i, state.step_in_epoch),
                    order[i].begin() + stratum_offset(i, state.step_in_epoch + 1));
  }
  const std::uint64_t step_seed =
      random_bits(seed_, stream_of(state.epoch, kStepOrder), static_cast<std::uint64_t>(state.step_in_epoch));
  return permuted(examples, step_seed, 0);
}

SamplerState StratifiedSampler::next(SamplerState state) const {
  ++state.step_in_epoch;
  if (state.step_in_epoch >= steps_per_epoch_) state = {state.epoch + 1, 0};
  return state;
}

}  // namespace ddro::data
