// What completions are scored by: their log-probabilities, of a model or computed before, and how these
// compare with what the model expects of its own.
#pragma once

#include <vector>

#include "ddro/data/dataset.h"
#include "ddro/data/packed_batch.h"
#include "ddro/models/causal_lm.h"
#include "ddro/train/model_batch.h"

namespace ddro::train {

// A number for each completion of a batch.
class CompletionValues {
 public:
  virtual ~CompletionValues() = default;
  // No graph built. `keep_pairs` as in unit_offsets: two models of equal weights that are cut alike give
  // equal bits.
  virtual std::vector<double> of(const data::PackedBatch& batch, const ModelBatch& on_device,
                                 bool keep_pairs) const = 0;
  virtual bool is_live() const = 0;  // computes a forward for each batch
  // For a rank without a batch while others call `of`.
  virtual void take_part() const {}
};

// log pi(completion | prompt).
class LogProbs : public CompletionValues {};

// Values that a forward of a model gives; the model outlives it.
template <typename Values>
class ModelValues : public Values {
 public:
  explicit ModelValues(const models::CausalLm& model) : model_(model) {}
  bool is_live() const override { return true; }
  void take_part() const override { model_.take_part(/*with_backward=*/false); }

 protected:
  const models::CausalLm& model_;
};

class ModelLogProbs : public ModelValues<LogProbs> {
 public:
  using ModelValues::ModelValues;
  std::vector<double> of(const data::PackedBatch& batch, const ModelBatch& on_device,
                         bool keep_pairs) const override;
};

// ops::excess_logprobs.
class ModelExcess : public ModelValues<CompletionValues> {
 public:
  using ModelValues::ModelValues;
  std::vector<double> of(const data::PackedBatch& batch, const ModelBatch& on_device,
                         bool keep_pairs) const override;
};

// Values of one set, found by example and sequence.
class LogProbTable : public LogProbs {
 public:
  // `logp`: of every sequence of `dataset`, in its order; NaN for one that is never asked for.
  LogProbTable(const data::Dataset& dataset, std::vector<double> logp);
  std::vector<double> of(const data::PackedBatch& batch, const ModelBatch& on_device,
                         bool keep_pairs) const override;
  bool is_live() const override { return false; }

 private:
  std::vector<size_t> first_;  // of each example in `logp_`, and the end
  std::vector<double> logp_;
};

// Nats a token by which two computations of one log-probability in `dtype` may differ when their
// micro-batches differ; more means that the models differ.
double log_prob_tolerance(at::ScalarType dtype);

}  // namespace ddro::train
