// Numbers that ranks with parts of tensors (ddro/train/parts.h) send to each other.
#pragma once

#include <cstdint>
#include <vector>

#include "ddro/base/tensor.h"
#include "ddro/dist/communicator.h"

namespace ddro::train {

// Numbers that a rank holds for it at once, of what is sent and what comes, beside tensors of so many.
double most_exchanged(std::int64_t numbers, at::Device device);

// This rank's part of a contiguous tensor, without history.
Tensor own_numbers(const Tensor& whole, const dist::Communicator& ranks);

// `tensors`: contiguous, in one order on all ranks.
// Leaves in this rank's part of each the sum over the ranks; the other parts stay what they were.
void reduce_scatter_parts(const std::vector<Tensor>& tensors, const dist::Communicator& ranks);

// Fills in the other parts of each from the ranks whose they are.
void all_gather_parts(const std::vector<Tensor>& tensors, const dist::Communicator& ranks);

}  // namespace ddro::train
