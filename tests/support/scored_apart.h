// Reference log-probabilities as a cache has them: computed in other micro-batches than training's.
#pragma once

#include <array>
#include <vector>

#include "ddro/train/score.h"

namespace ddro::test {

// Of every sequence of `dataset`, each in a micro-batch of its own.
inline std::vector<double> scored_apart(const models::CausalLm& model, const data::Dataset& dataset) {
  std::vector<double> logp;
  for (size_t i = 0; i < dataset.examples.size(); ++i) {
    const std::array<std::int64_t, 1> example = {static_cast<std::int64_t>(i)};
    const data::StepPlan plan = data::plan_step(dataset, example, {.micro_batch_tokens = 1});
    const std::vector<double> values = *train::score(train::ModelLogProbs(model), plan, at::kCPU);
    logp.insert(logp.end(), values.begin(), values.end());
  }
  return logp;
}

}  // namespace ddro::test
