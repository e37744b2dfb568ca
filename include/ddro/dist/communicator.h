// What the ranks of a run say to each other. Legend: W ranks, N numbers.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "ddro/base/tensor.h"

namespace ddro::dist {

// Waits for an exchange that has begun, and gives what has come. To be called once.
using Arrival = std::function<Tensor()>;

// All ranks call the same functions in the same order, and each waits for the others. Error(kLost) naming the
// rank that did not come. What sums depend on is the number of ranks alone; every rank has the same bits.
class Communicator {
 public:
  virtual ~Communicator() = default;
  Communicator(const Communicator&) = delete;
  Communicator& operator=(const Communicator&) = delete;

  int rank() const { return rank_; }
  int size() const { return size_; }
  bool is_first() const { return rank_ == 0; }  // which alone writes the run's files

  // Tensors are contiguous, and of one shape and type on all ranks. These exchanges go on while the caller
  // computes; what they were given is left alone until they have arrived.
  // Sum over the ranks, in place.
  virtual Arrival begin_all_reduce(const Tensor& tensor) const = 0;
  // A row for each rank: the sum over the ranks of this rank's row.
  virtual Arrival begin_reduce_scatter(const Tensor& rows_WN) const = 0;
  // By rank, what each has.
  virtual Arrival begin_all_gather(const Tensor& own_N) const = 0;

  void all_reduce(const Tensor& tensor) const { begin_all_reduce(tensor)(); }
  Tensor reduce_scatter(const Tensor& rows_WN) const { return begin_reduce_scatter(rows_WN)(); }
  Tensor all_gather(const Tensor& own_N) const { return begin_all_gather(own_N)(); }
  // `for_each`: bytes for each rank, by rank; `from_each`: how many each has for this one. What they have for
  // it, by rank.
  virtual Tensor all_to_all(const std::vector<Tensor>& for_each,
                            const std::vector<std::int64_t>& from_each) const = 0;

  // By rank, what each has said, once all have, however long one takes to come: a rank that is lost ends the
  // process. Beside the other functions, from any thread, one at a time.
  virtual std::vector<std::string> exchange(const std::string& said) const = 0;

  // Tensors on the CPU that go to each rank and that come from each, by rank; from where they are to where
  // they are. What rank a has for rank b and b from a are of the same sizes, in one order; of a rank for
  // itself there are none. What is given waits for all.
  using TensorsByRank = std::vector<std::vector<Tensor>>;
  virtual std::function<void()> begin_swap(const TensorsByRank& to_each,
                                           const TensorsByRank& from_each) const = 0;

  // By rank, what each has; any number each.
  std::vector<std::vector<double>> all_gather(const std::vector<double>& values) const;
  std::vector<std::string> all_gather(const std::string& bytes) const;
  // What the first rank has.
  std::string broadcast(const std::string& bytes) const;
  std::vector<double> broadcast(const std::vector<double>& values) const;
  bool broadcast(bool value) const { return broadcast(std::vector<double>{value ? 1.0 : 0.0}).front() != 0; }
  double broadcast(double value) const { return broadcast(std::vector<double>{value}).front(); }
  // Whether it is true of any rank.
  bool any(bool value) const;
  void barrier() const { any(false); }

 protected:
  Communicator(int rank, int size) : rank_(rank), size_(size) {}

 private:
  template <typename Values>
  std::vector<Values> gather_values(const Values& values) const;

  int rank_;
  int size_;
};

// One process, which says nothing to anyone.
const Communicator& alone();

}  // namespace ddro::dist
