// Numbers that ranks with parts of tensors (ddro/train/parts.h) send to each other.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <vector>

#include "ddro/base/tensor.h"
#include "ddro/dist/communicator.h"

namespace ddro::train {

// Numbers that a rank holds for it at once, of what is sent and what comes, beside tensors of so many.
double most_exchanged(std::int64_t numbers, at::Device device);

// This rank's part of a contiguous tensor, without history.
Tensor own_numbers(const Tensor& whole, const dist::Communicator& ranks);

// So many exchanges are under way: one is made ready and one is used while others travel.
constexpr size_t kMostBegun = 4;

// Exchanges that have begun, from the first to the last.
class Exchanges {
 public:
  explicit Exchanges(size_t most = kMostBegun) : most_(most) {}
  // `finish` waits for one more and uses what has come. The first are finished where too many have begun.
  void add(std::function<void()> finish);
  void finish();

 private:
  void finish_first();

  size_t most_;
  std::deque<std::function<void()>> begun_;
};

// `tensors`: contiguous, in one order on all ranks. Those of begin_ are changed as far as exchanges are
// finished.
// Leaves in each the sum over the ranks.
void begin_all_reduce(const std::vector<Tensor>& tensors, const dist::Communicator& ranks, Exchanges& begun);

// Leaves in this rank's part of each the sum over the ranks; the other parts stay what they were.
void begin_reduce_scatter_parts(const std::vector<Tensor>& tensors, const dist::Communicator& ranks,
                                Exchanges& begun);
void reduce_scatter_parts(const std::vector<Tensor>& tensors, const dist::Communicator& ranks);

// Fills in the other parts of each from the ranks whose they are.
void all_gather_parts(const std::vector<Tensor>& tensors, const dist::Communicator& ranks);

// The same, of which all goes on while the caller computes: `parts` are this rank's. What is given waits for
// it; until then `tensors` have any content.
std::function<void()> begin_all_gather_parts(const std::vector<Tensor>& tensors,
                                             const std::vector<Tensor>& parts,
                                             const dist::Communicator& ranks);

}  // namespace ddro::train
