// The one loop over micro-batches that scores completions: evaluation, caches of the reference, the two-pass
// step, `ddro-train score`.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "ddro/data/packed_batch.h"
#include "ddro/dist/communicator.h"
#include "ddro/losses/objective.h"
#include "ddro/train/log_probs.h"

namespace ddro::train {

struct ScoreOptions {
  bool keep_pairs = false;  // as in unit_offsets
  // Among which the micro-batches are shared out; all of them call `score` alike and get all values. What
  // needs no computing is looked up by each.
  const dist::Communicator& ranks = dist::alone();
  // Asked before each micro-batch; true, on any rank, ends the loop.
  std::function<bool()> stop = [] { return false; };
  // Whether a micro-batch, by its index, is scored at all. The first rank decides.
  std::function<bool(std::int64_t)> wanted = [](std::int64_t) { return true; };
  // Called, on every rank, with the completions of each scored micro-batch and their values.
  std::function<void(const std::vector<data::PackedCompletion>&, const std::vector<double>&)> scored =
      [](const std::vector<data::PackedCompletion>&, const std::vector<double>&) {};
};

// `completion_values` of each completion of `batches`, by step_index (0 where a micro-batch was not wanted),
// computed on `device`; nullopt when stopped before the end.
std::optional<std::vector<double>> score(const CompletionValues& completion_values,
                                         const data::MicroBatches& batches, at::Device device,
                                         const ScoreOptions& options = {});

// Fills in, by step_index, everything about a micro-batch's completions but their log-probabilities.
void fill_completions(const data::PackedBatch& batch, std::vector<losses::ScoredCompletion>& completions);
// The same of a plan's completions, which are examples of `dataset`.
std::vector<losses::ScoredCompletion> scored_completions(const data::Dataset& dataset,
                                                         const data::MicroBatches& batches);

}  // namespace ddro::train
