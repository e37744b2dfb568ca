// What a run trains, as a checkpoint has it: whole tensors, of which each rank may hold a part.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "ddro/base/tensor_io.h"
#include "ddro/dist/communicator.h"

namespace ddro::train {

struct StateTensor {
  std::string name;
  Tensor own;                       // the whole, or in the order of memory what this rank holds of it
  std::vector<std::int64_t> sizes;  // of the whole
  std::int64_t begin = 0;           // place in the whole of the first number of `own`
  std::int64_t capacity = 0;        // numbers of a full part (ddro/train/parts.h); 0: each rank has the whole
};

using StateTensors = std::vector<StateTensor>;

// Calls `use` on the first rank with `tensors` as sources of whole ones; the others send their parts of each
// that is fetched, and return when `use` has. No more than one tensor is whole at a time. All ranks call it
// alike; what `use` throws is thrown on the first rank alone.
void lend_whole(const StateTensors& tensors, const dist::Communicator& ranks,
                const std::function<void(const TensorSources&)>& use);

}  // namespace ddro::train
