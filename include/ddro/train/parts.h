// How what is trained is cut among ranks: every parameter into as many parts as there are ranks.
#pragma once

#include <cstdint>

namespace ddro::train {

// Numbers of a tensor that follow each other in memory.
struct Part {
  std::int64_t begin = 0;
  std::int64_t size = 0;
};

// How many numbers a part has: equal ones that end with a block of a moment (ops::kMomentBlock), so that
// short moments are rounded alike in any number of ranks. What is too short for all leaves the last ones
// shorter or empty.
std::int64_t part_capacity(std::int64_t numbers, int num_ranks);
Part part_of(std::int64_t numbers, int num_ranks, int rank);

}  // namespace ddro::train
