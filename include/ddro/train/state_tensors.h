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

// Which rank is to have which of them whole: each about as many bytes.
std::vector<int> share_out(const StateTensors& tensors, int num_ranks);

// Calls `use` on each rank with those of `tensors` that it has in `rank_of`, as sources of whole ones. It
// fetches each once, in their order, while the others fetch theirs: the parts of one tensor a rank travel at
// a time, and no more than that is whole. All ranks call it alike; what `use` throws is thrown on that rank
// alone, when the others have got what they fetch from it.
void lend_whole(const StateTensors& tensors, const std::vector<int>& rank_of, const dist::Communicator& ranks,
                const std::function<void(const TensorSources&)>& use);

// All of them to the first rank alone, which fetches in any order.
void lend_whole(const StateTensors& tensors, const dist::Communicator& ranks,
                const std::function<void(const TensorSources&)>& use);

}  // namespace ddro::train
