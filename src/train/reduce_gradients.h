// Gradients of a step that ranks have shared out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "ddro/train/parameters.h"
#include "train/exchange_parts.h"

namespace ddro::train {

// Their sums over the ranks, in place: the same bits on each, and the same for one number of ranks. Of
// sharded parameters in each rank's part alone; the rest of a gradient is then no more than what this rank
// added. Of parameters in parts the backward has done it.
//
// They travel in the order in which a backward completes them, the same on all ranks; while it goes on, where
// it says how far it has come.
class GradientSums {
 public:
  // Units of less than `few` numbers travel with the next.
  explicit GradientSums(const Parameters& parameters, std::int64_t few = std::int64_t{1} << 20);

  // The gradients of `unit` (Parameter::unit) and of those above are complete on this rank.
  void complete(size_t unit);
  // The same, for who computes the gradients; null where none travel before all are complete.
  std::function<void(size_t unit)> on_complete();
  // All are; waits for the sums.
  void finish();

 private:
  struct Bucket {
    size_t unit = 0;  // the lowest
    std::vector<Tensor> gradients;
  };

  void begin(const Bucket& bucket);

  const Parameters& parameters_;
  std::vector<Bucket> buckets_;
  size_t num_begun_ = 0;
  Exchanges begun_;
};

void reduce_gradients(const Parameters& parameters);

}  // namespace ddro::train
