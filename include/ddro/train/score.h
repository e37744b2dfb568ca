// The one loop over micro-batches that scores completions: evaluation, caches of the reference, the two-pass
// step, `ddro-train score`.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "ddro/data/packed_batch.h"
#include "ddro/losses/objective.h"
#include "ddro/train/log_probs.h"

namespace ddro::train {

struct ScoreOptions {
  bool keep_pairs = false;  // as in unit_offsets
  // Asked before each micro-batch; true ends the loop.
  std::function<bool()> stop = [] { return false; };
  // Whether a micro-batch, by its index, is scored at all.
  std::function<bool(std::int64_t)> wanted = [](std::int64_t) { return true; };
  // Called with each scored micro-batch and its rows' values.
  std::function<void(const data::PackedBatch&, const std::vector<double>&)> scored =
      [](const data::PackedBatch&, const std::vector<double>&) {};
};

// log pi of each completion of `batches`, by step_row (0 where a micro-batch was not wanted), computed on
// `device`; nullopt when stopped before the end.
std::optional<std::vector<double>> score(const LogProbs& log_probs, const data::MicroBatches& batches,
                                         at::Device device, const ScoreOptions& options = {});

// Fills in, by step_row, everything about a micro-batch's rows but their log-probabilities.
void fill_rows(const data::PackedBatch& batch, std::vector<losses::LossRow>& rows);

}  // namespace ddro::train
