// Models and data out of thin air.
#pragma once

#include "ddro/base/tensor_io.h"
#include "ddro/data/dataset.h"
#include "ddro/models/model_spec.h"

namespace ddro::doctor {

// Normal with this deviation, norms 1; drawn on the device of `options` in its type.
NamedTensors random_weights(const models::ModelSpec& spec, const at::TensorOptions& options,
                            double deviation);

struct PairSize {
  std::int64_t prompt_tokens = 0;
  std::int64_t completion_tokens = 0;
};

// Pairs of random ids below `vocab_size`; the same ones each time.
data::Dataset random_pairs(std::int64_t num_pairs, const PairSize& size, std::int64_t vocab_size);

}  // namespace ddro::doctor
