// Examples cut into packed micro-batches, those of one optimizer step or of a whole set: no padding anywhere.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "ddro/base/batch_counts.h"
#include "ddro/data/dataset.h"

namespace ddro::data {

// A run of packed tokens that attends causally to itself and, before that, to all of `parent` and of what
// `parent` attends to. What sequences of a batch have in common at their beginning (a template's system
// message, the prompt of several completions) is one segment; where they part, each goes on in segments of
// its own.
struct Segment {
  std::int64_t begin = 0;
  std::int64_t length = 0;
  std::int64_t parent = -1;        // index of an earlier segment; -1 at a sequence's beginning
  std::int64_t prefix_length = 0;  // tokens of its ancestors
};

// One completion of the batch.
struct PackedCompletion {
  std::int64_t example = 0;   // index into Dataset::examples
  std::int32_t sequence = 0;  // which of its sequences
  CompletionClass completion_class = CompletionClass::kChosen;
  double weight = 1.0;
  std::int64_t step_index = 0;  // among the plan's completions: as the examples, chosen before rejected
  std::int64_t partner = -1;    // step_index of the pair's other completion, -1 when unpaired
};

struct PackedBatch {
  std::vector<std::int64_t> ids_T;
  std::vector<std::int64_t> positions_T;        // of each token in its sequence, from 0
  std::vector<std::int64_t> num_completions_T;  // that have the token: several where it is shared
  std::vector<Segment> segments;                // tile [0, T) in order
  // The completions' tokens, one after the other: the hidden state at logit_positions_C[c] predicts
  // targets_C[c].
  std::vector<std::int64_t> logit_positions_C;
  std::vector<std::int64_t> targets_C;
  std::vector<std::int64_t> completion_offsets;  // size completions + 1, into C
  std::vector<PackedCompletion> completions;
};

// Completions cut into micro-batches.
class MicroBatches {
 public:
  virtual ~MicroBatches() = default;
  virtual std::int64_t num_micro_batches() const = 0;
  virtual PackedBatch micro_batch(std::int64_t index) const = 0;
  // Of that micro-batch, in its order.
  virtual std::vector<PackedCompletion> completions(std::int64_t index) const = 0;
  virtual std::int64_t num_completions() const = 0;  // of all micro-batches
};

struct StepPlan : public MicroBatches {
  std::int64_t num_micro_batches() const override { return static_cast<std::int64_t>(micro_batches.size()); }
  PackedBatch micro_batch(std::int64_t index) const override {
    return micro_batches.at(static_cast<size_t>(index));
  }
  std::vector<PackedCompletion> completions(std::int64_t index) const override {
    return micro_batches.at(static_cast<size_t>(index)).completions;
  }
  std::int64_t num_completions() const override { return num_sequences; }

  std::vector<std::int64_t> examples;  // in the sampler's order
  BatchCounts counts;
  std::int64_t num_sequences = 0;  // completions
  std::int64_t num_tokens = 0;     // of all sequences, a shared prompt counted for each completion
  std::vector<PackedBatch> micro_batches;
  std::int64_t packed_tokens = 0;   // what the model runs over
  std::int64_t unshared_pairs = 0;  // pairs whose prompts have different ids
};

struct PackOptions {
  std::int64_t micro_batch_tokens = 8192;
  // Common beginnings shorter than this are computed for each sequence: a segment of its own costs more.
  // Above every length: nothing is shared.
  std::int64_t min_shared_tokens = 8;
  // Ranks between which a step's micro-batches are shared out: plan_step cuts it into a multiple of as many,
  // of about equal size, as far as its examples can be cut.
  std::int64_t num_shares = 1;
};

// First-fit in the order of `examples`; for several shares the longest first, each where least is. Pairs are
// kept together where they fit; a completion longer than micro_batch_tokens is a micro-batch of its own. Only
// a pair's common prompt counts once against the budget, so that a batch with more in common is smaller than
// the budget allows. Deterministic.
StepPlan plan_step(const Dataset& dataset, std::span<const std::int64_t> examples,
                   const PackOptions& options);

// A whole set cut into micro-batches, for work whose order does not matter: the longest completions first,
// next-fit, in n log n. Pairs stay together as in plan_step. A micro-batch is packed when it is asked for, so
// that a plan is small beside its set.
class SetPlan : public MicroBatches {
 public:
  // `dataset` outlives the plan.
  SetPlan(const Dataset& dataset, const PackOptions& options);
  ~SetPlan() override;
  SetPlan(SetPlan&&) noexcept;
  SetPlan& operator=(SetPlan&&) noexcept;

  std::int64_t num_micro_batches() const override;
  PackedBatch micro_batch(std::int64_t index) const override;
  std::vector<PackedCompletion> completions(std::int64_t index) const override;
  std::int64_t num_completions() const override;
  const BatchCounts& counts() const;
  std::int64_t num_tokens() const;

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace ddro::data
