// Whether the ranks of a run still train one and the same model.
#pragma once

#include <cstdint>

#include "ddro/train/parameters.h"

namespace ddro::train {

// By a sum over the bits of each parameter's master, that any one bit changes; of what the model computes
// with, where each rank has masters of its own. With Shard::kFull nothing is there twice. Error(kInternal)
// naming rank and parameter of the first difference from rank 0; `step`: for the message.
void check_same_weights(const Parameters& parameters, std::int64_t step);

}  // namespace ddro::train
