#include "ddro/train/parts.h"

#include <algorithm>

#include "ddro/ops/moment_code.h"

namespace ddro::train {

std::int64_t part_capacity(std::int64_t numbers, int num_ranks) {
  const std::int64_t equal = (numbers + num_ranks - 1) / num_ranks;
  return (equal + ops::kMomentBlock - 1) / ops::kMomentBlock * ops::kMomentBlock;
}

Part part_of(std::int64_t numbers, int num_ranks, int rank) {
  const std::int64_t capacity = part_capacity(numbers, num_ranks);
  const std::int64_t begin = std::min(numbers, rank * capacity);
  return {begin, std::min(capacity, numbers - begin)};
}

}  // namespace ddro::train
