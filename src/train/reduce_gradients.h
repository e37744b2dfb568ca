// Gradients of a step that ranks have shared out.
#pragma once

#include "ddro/train/parameters.h"

namespace ddro::train {

// The sum over the ranks, in place: the same bits on each, and the same for one number of ranks. Of sharded
// parameters in each rank's part alone; the rest of a gradient is then no more than what this rank added.
// Of parameters in parts the backward has done it.
void reduce_gradients(const Parameters& parameters);

}  // namespace ddro::train
