#include "ddro/data/packed_batch.h"

#include <algorithm>
#include <functional>
#include <numeric>

#include "data/prefix_tree.h"
#include "ddro/base/error.h"

namespace ddro::data {
namespace {

// What stays together in a micro-batch: a pair, or one completion.
struct Unit {
  std::int64_t step_index = 0;  // of its first completion
  std::int64_t num_sequences = 1;
  std::int64_t tokens = 0;
};

std::int64_t length(const EncodedSequence& sequence) {
  return static_cast<std::int64_t>(sequence.ids.size());
}

std::int64_t ceil_of(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

bool same_prompt(const EncodedSequence& a, const EncodedSequence& b) {
  return a.completion_start == b.completion_start &&
         std::equal(a.ids.begin(), a.ids.begin() + a.completion_start, b.ids.begin());
}

// The units of some examples, and how completions are packed.
class Packer {
 public:
  Packer(const Dataset& dataset, std::span<const std::int64_t> examples, const PackOptions& options)
      : dataset_(&dataset), options_(options) {
    DDRO_CHECK(options_.micro_batch_tokens >= 1, "micro-batches of no tokens");
    for (size_t i = 0; i < examples.size(); ++i) {
      dataset.release_pages_before(i);
      add_example(examples[i]);
    }
  }

  const std::vector<Unit>& units() const { return units_; }
  const BatchCounts& counts() const { return counts_; }
  std::int64_t num_sequences() const { return static_cast<std::int64_t>(completions_.size()); }
  std::int64_t num_tokens() const { return num_tokens_; }
  std::int64_t unshared_pairs() const { return unshared_pairs_; }

  std::int64_t micro_batch_tokens() const { return options_.micro_batch_tokens; }
  std::int64_t num_shares() const { return options_.num_shares; }

  void append_completions(const Unit& unit, std::vector<PackedCompletion>& completions) const {
    for (std::int64_t i = 0; i < unit.num_sequences; ++i)
      completions.push_back(completion_at(unit.step_index + i));
  }

  // Fills in everything but the completions, which are there.
  void pack(PackedBatch& batch) const {
    std::vector<const TokenIds*> sequences;
    for (const PackedCompletion& completion : batch.completions)
      sequences.push_back(&sequence_of(completion).ids);
    PrefixTree tree(std::move(sequences), options_.min_shared_tokens);
    batch.completion_offsets.push_back(0);
    batch.num_completions_T.resize(tree.ids_T.size());
    for (size_t i = 0; i < batch.completions.size(); ++i) {
      const EncodedSequence& sequence = sequence_of(batch.completions[i]);
      const std::vector<std::int64_t> packed = tree.packed_indices(i);
      for (const std::int64_t place : packed) ++batch.num_completions_T[static_cast<size_t>(place)];
      for (std::int64_t token = sequence.completion_start; token < length(sequence); ++token) {
        batch.logit_positions_C.push_back(packed[static_cast<size_t>(token - 1)]);
        batch.targets_C.push_back(sequence.ids[static_cast<size_t>(token)]);
      }
      batch.completion_offsets.push_back(static_cast<std::int64_t>(batch.targets_C.size()));
    }
    batch.ids_T = std::move(tree.ids_T);
    batch.positions_T = std::move(tree.positions_T);
    batch.segments = std::move(tree.segments);
    dataset_->release_pages();
  }

 private:
  const EncodedSequence& sequence_of(const PackedCompletion& completion) const {
    return dataset_->examples[static_cast<size_t>(completion.example)]
        .sequences[static_cast<size_t>(completion.sequence)];
  }
  const PackedCompletion& completion_at(std::int64_t step_index) const {
    return completions_[static_cast<size_t>(step_index)];
  }

  void add_example(std::int64_t index) {
    const EncodedExample& example = dataset_->examples.at(static_cast<size_t>(index));
    const auto first = static_cast<std::int64_t>(completions_.size());
    for (size_t i = 0; i < example.sequences.size(); ++i) {
      const EncodedSequence& sequence = example.sequences[i];
      DDRO_CHECK(sequence.completion_start >= 1 && sequence.completion_start < length(sequence),
                 "row " + std::to_string(example.row) + " has no prompt or no completion");
      const auto step_index = first + static_cast<std::int64_t>(i);
      const std::int64_t partner = example.is_pair() ? first + 1 - static_cast<std::int64_t>(i) : -1;
      completions_.push_back({index, static_cast<std::int32_t>(i), sequence.completion_class, example.weight,
                              step_index, partner});
      count_completion(sequence, example.weight);
    }
    if (example.is_pair()) {
      counts_.pairs += example.weight;
      add_pair(first);
    } else {
      units_.push_back({first, 1, length(example.sequences.front())});
    }
  }

  void count_completion(const EncodedSequence& sequence, double weight) {
    if (sequence.completion_class == CompletionClass::kChosen) {
      counts_.chosen += weight;
      counts_.chosen_tokens += weight * static_cast<double>(sequence.num_completion_tokens());
    } else {
      counts_.rejected += weight;
      counts_.rejected_seen += weight;
    }
    num_tokens_ += length(sequence);
  }

  void add_pair(std::int64_t first) {
    const EncodedSequence& chosen = sequence_of(completion_at(first));
    const EncodedSequence& rejected = sequence_of(completion_at(first + 1));
    const bool same = same_prompt(chosen, rejected);
    if (!same) ++unshared_pairs_;
    const bool shares = same && chosen.completion_start >= options_.min_shared_tokens;
    const std::int64_t tokens = length(chosen) + length(rejected) - (shares ? chosen.completion_start : 0);
    if (tokens <= options_.micro_batch_tokens) {
      units_.push_back({first, 2, tokens});
    } else {
      units_.push_back({first, 1, length(chosen)});
      units_.push_back({first + 1, 1, length(rejected)});
    }
  }

  const Dataset* dataset_;
  PackOptions options_;
  BatchCounts counts_;
  std::int64_t num_tokens_ = 0;
  std::int64_t unshared_pairs_ = 0;
  std::vector<PackedCompletion> completions_;  // by step_index
  std::vector<Unit> units_;
};

using Batches = std::vector<std::vector<Unit>>;

Batches first_fit(const Packer& packer) {
  Batches batches;
  std::vector<std::int64_t> tokens;
  for (const Unit& unit : packer.units()) {
    auto slot = std::ranges::find_if(
        tokens, [&](std::int64_t sum) { return sum + unit.tokens <= packer.micro_batch_tokens(); });
    if (slot == tokens.end()) {
      slot = tokens.insert(slot, 0);
      batches.emplace_back();
    }
    *slot += unit.tokens;
    batches[static_cast<size_t>(slot - tokens.begin())].push_back(unit);
  }
  return batches;
}

// `count` of about equal size, in the order of the units: the longest go first, each to where least is.
Batches equal_batches(const Packer& packer, size_t count) {
  const std::vector<Unit>& units = packer.units();
  std::vector<size_t> order(units.size()), batch_of(units.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::ranges::stable_sort(order, std::greater(), [&](size_t i) { return units[i].tokens; });
  std::vector<std::int64_t> tokens(count);
  for (const size_t i : order) {
    const auto least = std::ranges::min_element(tokens);
    *least += units[i].tokens;
    batch_of[i] = static_cast<size_t>(least - tokens.begin());
  }
  Batches batches(count);
  for (size_t i = 0; i < units.size(); ++i) batches[batch_of[i]].push_back(units[i]);
  return batches;
}

// A multiple of the shares, as few as the budget allows; no more than there are units.
Batches shared_batches(const Packer& packer) {
  std::int64_t total = 0;
  for (const Unit& unit : packer.units()) total += unit.tokens;
  const auto num_units = static_cast<std::int64_t>(packer.units().size());
  const auto fits = [&](const std::vector<Unit>& batch) {
    std::int64_t tokens = 0;
    for (const Unit& unit : batch) tokens += unit.tokens;
    return batch.size() == 1 || tokens <= packer.micro_batch_tokens();
  };
  std::int64_t rounds =
      std::max<std::int64_t>(1, ceil_of(total, packer.micro_batch_tokens() * packer.num_shares()));
  for (;; ++rounds) {
    const std::int64_t count = std::min(rounds * packer.num_shares(), num_units);
    Batches batches = equal_batches(packer, static_cast<size_t>(count));
    if (count == num_units || std::ranges::all_of(batches, fits)) return batches;
  }
}

}  // namespace

StepPlan plan_step(const Dataset& dataset, std::span<const std::int64_t> examples,
                   const PackOptions& options) {
  const Packer packer(dataset, examples, options);
  StepPlan plan;
  plan.examples.assign(examples.begin(), examples.end());
  plan.counts = packer.counts();
  plan.num_sequences = packer.num_sequences();
  plan.num_tokens = packer.num_tokens();
  plan.unshared_pairs = packer.unshared_pairs();
  for (const std::vector<Unit>& units :
       options.num_shares == 1 ? first_fit(packer) : shared_batches(packer)) {
    PackedBatch& batch = plan.micro_batches.emplace_back();
    for (const Unit& unit : units) packer.append_completions(unit, batch.completions);
    packer.pack(batch);
    plan.packed_tokens += static_cast<std::int64_t>(batch.ids_T.size());
  }
  return plan;
}

struct SetPlan::Parts {
  Packer packer;
  std::vector<Unit> units;     // micro-batch by micro-batch
  std::vector<size_t> starts;  // of each micro-batch in `units`, and the end
};

SetPlan::SetPlan(const Dataset& dataset, const PackOptions& options) {
  std::vector<std::int64_t> all(dataset.examples.size());
  std::iota(all.begin(), all.end(), 0);
  parts_ = std::make_unique<Parts>(Parts{Packer(dataset, all, options), {}, {0}});
  Parts& parts = *parts_;
  parts.units = parts.packer.units();
  std::stable_sort(parts.units.begin(), parts.units.end(),
                   [](const Unit& a, const Unit& b) { return a.tokens > b.tokens; });
  std::int64_t tokens = 0;
  for (size_t i = 0; i < parts.units.size(); ++i) {
    if (i > 0 && tokens + parts.units[i].tokens > parts.packer.micro_batch_tokens()) {
      parts.starts.push_back(i);
      tokens = 0;
    }
    tokens += parts.units[i].tokens;
  }
  if (!parts.units.empty()) parts.starts.push_back(parts.units.size());
}

SetPlan::~SetPlan() = default;
SetPlan::SetPlan(SetPlan&&) noexcept = default;
SetPlan& SetPlan::operator=(SetPlan&&) noexcept = default;

std::int64_t SetPlan::num_micro_batches() const {
  return static_cast<std::int64_t>(parts_->starts.size()) - 1;
}

std::vector<PackedCompletion> SetPlan::completions(std::int64_t index) const {
  std::vector<PackedCompletion> completions;
  const auto i = static_cast<size_t>(index);
  for (size_t unit = parts_->starts.at(i); unit < parts_->starts.at(i + 1); ++unit)
    parts_->packer.append_completions(parts_->units[unit], completions);
  return completions;
}

PackedBatch SetPlan::micro_batch(std::int64_t index) const {
  PackedBatch batch;
  batch.completions = completions(index);
  parts_->packer.pack(batch);
  return batch;
}

const BatchCounts& SetPlan::counts() const { return parts_->packer.counts(); }
std::int64_t SetPlan::num_completions() const { return parts_->packer.num_sequences(); }
std::int64_t SetPlan::num_tokens() const { return parts_->packer.num_tokens(); }

}  // namespace ddro::data
