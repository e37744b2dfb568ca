// Checksums of what is in memory and not to change: what a faulty bit of it shows by.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "ddro/base/tensor_io.h"
#include "ddro/train/parameters.h"
#include "ddro/train/state_tensors.h"

namespace ddro::train {

// By name; a sum over a tensor's bits, that any one bit changes.
using Checksums = std::unordered_map<std::string, std::uint64_t>;

// Of whole tensors, whatever the ranks have of each; those that all have in full are of this rank. All ranks
// call it alike.
Checksums checksums(const StateTensors& tensors, const dist::Communicator& ranks);

// Error(kInternal) for a whole tensor that is not as it was; `step`: for the message.
void check_unchanged(const Checksums& sums, const std::string& name, const Tensor& tensor, std::int64_t step);

// The weights that no update changes, from here on.
class FrozenWeights {
 public:
  // What `policy` does not train, and all of `reference`, where there is one; both outlive it.
  FrozenWeights(const Parameters& policy, const models::CausalLm* reference);

  // Error(kInternal) on all ranks for those that are not as they were; all ranks call it alike.
  void check(std::int64_t step) const;

 private:
  struct Frozen {
    std::string name;
    Tensor tensor;
    std::uint64_t sum;
  };

  const dist::Communicator& ranks_;
  std::vector<Frozen> tensors_;
};

}  // namespace ddro::train
