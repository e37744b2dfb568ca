// Filling a cache of reference log-probabilities, checking it, and reading sets out of it.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "ddro/data/dataset.h"
#include "ddro/data/packed_batch.h"
#include "ddro/data/reference_cache.h"
#include "ddro/data/sampler.h"
#include "ddro/dist/communicator.h"
#include "ddro/models/causal_lm.h"
#include "ddro/train/log_probs.h"

namespace ddro::run {

// The completions of a set that a run reads, and how they are cut when they are computed. The set outlives
// it.
class ReadRows {
 public:
  // All of them, cut without regard to their order.
  ReadRows(const data::Dataset& set, const data::PackOptions& options);
  // Those of the first `num_steps` steps, all of them where the steps make up an epoch (of a mixture: as many
  // as are drawn); cut as the steps are that read them first, so that values do not depend on how long the
  // run is.
  ReadRows(const data::Dataset& set, const data::PackOptions& options, const data::StratifiedSampler& sampler,
           std::int64_t num_steps);

  const data::Dataset& set() const { return *set_; }
  // Indices of the examples.
  const std::vector<std::int64_t>& examples() const { return examples_; }
  // The cuts, one after the other: each is made when it is asked for.
  std::int64_t num_cuts() const { return static_cast<std::int64_t>(begins_.size()) - 1; }
  std::unique_ptr<data::MicroBatches> cut(std::int64_t index) const;
  const data::PackOptions& options() const { return options_; }

 private:
  const data::Dataset* set_;
  data::PackOptions options_;
  bool whole_;
  std::vector<std::int64_t> examples_;
  std::vector<size_t> begins_;  // of each cut in examples_, and the end
};

struct ReferenceCoverage {
  std::int64_t rows = 0;   // completions
  std::int64_t found = 0;  // of which the cache has the log-probability

  bool is_complete() const { return found == rows; }
};

ReferenceCoverage coverage(const data::ReferenceCache& cache, const std::vector<ReadRows>& sets);

// Micro-batches that filling would compute: those with a row that the cache lacks.
std::int64_t num_missing_batches(const data::ReferenceCache& cache, const std::vector<ReadRows>& sets);

// Computes a few of the rows that the cache has, evenly spread over the sets, and compares. Error(kModel)
// naming file, row and both values when they differ by more than log_prob_tolerance for each token.
void verify_reference_cache(const data::ReferenceCache& cache, const models::CausalLm& reference,
                            const std::vector<ReadRows>& sets);

// Computes and writes what the cache lacks. Sets are cut into micro-batches without regard to what is there,
// and every micro-batch with a missing row is computed whole: a value's bits do not depend on where an
// earlier attempt was interrupted. False when `stop` became true between two micro-batches; what was computed
// is on disk then. Error(kModel) naming the row for a log-probability that is not finite, Error(kSave) when
// the file cannot be written. The caller holds the cache's lock and has read it under the lock. Of several
// ranks the first calls this and the others help.
bool fill_reference_cache(data::ReferenceCache& cache, const models::CausalLm& reference,
                          const std::vector<ReadRows>& sets, const std::function<bool()>& stop,
                          const dist::Communicator& ranks = dist::alone());
void help_fill_reference_cache(const models::CausalLm& reference, const std::vector<ReadRows>& sets,
                               const std::function<bool()>& stop, const dist::Communicator& ranks);

// The log-probabilities of `dataset` that the cache has, NaN for others.
std::vector<double> reference_values(const data::ReferenceCache& cache, const data::Dataset& dataset);
train::LogProbTable reference_table(const data::ReferenceCache& cache, const data::Dataset& dataset);

}  // namespace ddro::run
