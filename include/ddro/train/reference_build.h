// Filling a cache of reference log-probabilities, checking it, and reading whole sets out of it.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "ddro/data/dataset.h"
#include "ddro/data/packed_batch.h"
#include "ddro/data/reference_cache.h"
#include "ddro/models/causal_lm.h"
#include "ddro/train/reference.h"

namespace ddro::train {

using DatasetList = std::vector<const data::Dataset*>;

struct ReferenceCoverage {
  std::int64_t rows = 0;   // completions of the sets
  std::int64_t found = 0;  // of which the cache has the log-probability

  bool is_complete() const { return found == rows; }
};

ReferenceCoverage coverage(const data::ReferenceCache& cache, const DatasetList& sets);

// Micro-batches that filling would compute: those with a row that the cache lacks.
std::int64_t num_missing_batches(const data::ReferenceCache& cache, const DatasetList& sets,
                                 const data::PackOptions& options);

// Computes a few of the rows that the cache has, evenly spread over the sets, and compares. Error(kModel)
// naming file, row and both values when they differ by more than log_prob_tolerance for each token.
void verify_reference_cache(const data::ReferenceCache& cache, const models::CausalLm& reference,
                            const DatasetList& sets, const data::PackOptions& options);

// Computes and writes what the cache lacks. Each set is cut into micro-batches without regard to what is
// there, and every micro-batch with a missing row is computed whole: a value's bits do not depend on where an
// earlier attempt was interrupted. False when `stop` became true between two micro-batches; what was computed
// is on disk then. Error(kModel) naming the row for a log-probability that is not finite, Error(kSave) when
// the file cannot be written. The caller holds the cache's lock and has read it under the lock.
bool fill_reference_cache(data::ReferenceCache& cache, const models::CausalLm& reference,
                          const DatasetList& sets, const data::PackOptions& options,
                          const std::function<bool()>& stop);

// Every log-probability of `dataset`, all of which the cache has.
ReferenceTable reference_table(const data::ReferenceCache& cache, const data::Dataset& dataset);

}  // namespace ddro::train
