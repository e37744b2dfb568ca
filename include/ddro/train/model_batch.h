// A packed batch on a device, as the model takes it: the one place where `data` and `models` meet.
#pragma once

#include <cstdint>
#include <vector>

#include "ddro/data/packed_batch.h"
#include "ddro/models/causal_lm.h"
#include "ddro/ops/logprob_head.h"

namespace ddro::train {

class ModelBatch {
 public:
  ModelBatch(const data::PackedBatch& batch, at::Device device);

  models::ModelInput input() const;
  // T: completions of the batch that have each token.
  const Tensor& num_completions_T() const { return num_completions_T_; }
  // The head's input for hidden states that `model` has computed of this batch.
  ops::HeadInput head_input(const Tensor& hidden_CD, const models::CausalLm& model) const;

 private:
  ops::AttentionLayout layout_;
  Tensor ids_T_;
  Tensor positions_T_;
  Tensor num_completions_T_;
  Tensor output_positions_C_;
  Tensor targets_C_;
  std::vector<std::int64_t> completion_offsets_;
};

// Completions between which the loss needs no boundary inside: each completion by itself, or each pair whose
// completions are neighbours.
std::vector<std::int64_t> unit_offsets(const data::PackedBatch& batch, bool keep_pairs);

}  // namespace ddro::train
