// Gradients of a step that ranks have shared out.
#pragma once

#include "ddro/dist/communicator.h"
#include "ddro/train/parameters.h"

namespace ddro::train {

// The sum over the ranks, in place: the same bits on each, and the same for one number of ranks.
void reduce_gradients(const Parameters& parameters, const dist::Communicator& ranks);

}  // namespace ddro::train
