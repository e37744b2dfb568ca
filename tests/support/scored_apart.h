// Reference log-probabilities as a cache has them: computed in other micro-batches than training's.
#pragma once

#include <array>
#include <vector>

#include "ddro/train/reference.h"

namespace ddro::test {

// Of every sequence of `dataset`, each in a micro-batch of its own.
inline std::vector<double> scored_apart(const models::CausalLm& model, const data::Dataset& dataset) {
  std::vector<double> logp;
  for (size_t i = 0; i < dataset.examples.size(); ++i) {
    const std::array<std::int64_t, 1> example = {static_cast<std::int64_t>(i)};
    for (const data::PackedBatch& batch :
         data::plan_step(dataset, example, {.micro_batch_tokens = 1}).micro_batches) {
      const train::ModelBatch on_device(batch, at::kCPU);
      logp.push_back(train::score_batch(model, batch, on_device, /*keep_pairs=*/false).at(0));
    }
  }
  return logp;
}

}  // namespace ddro::test
