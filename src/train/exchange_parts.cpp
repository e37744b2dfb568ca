// Legend: W ranks, N numbers that each rank has of a batch.
#include "train/exchange_parts.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <numeric>
#include <utility>

#include "ddro/base/error.h"
#include "ddro/train/parts.h"

namespace ddro::train {
namespace {

// Numbers that travel at once: enough to fill a wire, few beside a model. The heap of a CPU never gives back
// what it held of them.
std::int64_t most_at_once(at::Device device) {
  return device.is_cuda() ? std::int64_t{1} << 26 : std::int64_t{1} << 21;
}

// From so many numbers a run on a CPU is worth a message of its own, which saves copying it.
constexpr std::int64_t kLongRun = std::int64_t{1} << 14;

// The same places in every rank's part of a tensor.
struct Run {
  Tensor flat;    // the tensor
  size_t tensor;  // its place among those that are exchanged
  std::int64_t begin = 0;
  std::int64_t size = 0;

  // As far as the part goes.
  Tensor of_part(const Tensor& part) const {
    const std::int64_t first = std::min(begin, part.numel());
    return part.narrow(0, first, std::min(begin + size, part.numel()) - first);
  }
  Tensor in_part_of(int rank, int num_ranks) const {
    const Part part = part_of(flat.numel(), num_ranks, rank);
    return of_part(flat.narrow(0, part.begin, part.size));
  }
};

// What travels together.
struct Batch {
  std::vector<Run> runs;
  std::int64_t size = 0;  // N

  bool is_in_place() const {
    return runs.front().flat.is_cpu() && size >= kLongRun * static_cast<std::int64_t>(runs.size());
  }
};

// Of one type each; a long tensor is spread over several.
std::vector<Batch> make_batches(const std::vector<Tensor>& tensors, int num_ranks) {
  const auto type_of = [](const Tensor& tensor) { return tensor.scalar_type(); };
  std::vector<size_t> order(tensors.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::ranges::stable_sort(order, {}, [&](size_t i) { return type_of(tensors[i]); });
  const std::int64_t most = std::max<std::int64_t>(1, most_at_once(tensors.front().device()) / num_ranks);
  const auto has_room = [&](const Batch& batch, const Tensor& tensor) {
    return batch.size < most && type_of(batch.runs.back().flat) == type_of(tensor);
  };
  std::vector<Batch> batches;
  for (const size_t i : order) {
    const Tensor& tensor = tensors[i];
    const std::int64_t capacity = std::min(tensor.numel(), part_capacity(tensor.numel(), num_ranks));
    for (std::int64_t begin = 0, size = 0; begin < capacity; begin += size) {
      if (batches.empty() || !has_room(batches.back(), tensor)) batches.emplace_back();
      Batch& batch = batches.back();
      size = std::min(capacity - begin, most - batch.size);
      batch.runs.push_back({tensor.view(-1), i, begin, size});
      batch.size += size;
    }
  }
  return batches;
}

// Places of equal numbers: in rows of N for the wire, and in the tensors.
struct Places {
  std::vector<Tensor> on_wire, in_tensors;

  void add(const Batch& batch, const Tensor& row_N, int rank, int num_ranks) {
    add(batch, row_N, [&](const Run& run) { return run.in_part_of(rank, num_ranks); });
  }
  template <typename NumbersOf>
  void add(const Batch& batch, const Tensor& row_N, const NumbersOf& numbers_of) {
    std::int64_t at = 0;
    for (const Run& run : batch.runs) {
      const Tensor numbers = numbers_of(run);
      if (numbers.numel() > 0) {
        on_wire.push_back(row_N.narrow(0, at, numbers.numel()));
        in_tensors.push_back(numbers);
      }
      at += run.size;
    }
  }
  void load() const {
    if (!on_wire.empty()) at::_foreach_copy_(on_wire, in_tensors);
  }
  void unload() const {
    if (!on_wire.empty()) at::_foreach_copy_(in_tensors, on_wire);
  }
};

Places own_places(const Batch& batch, const Tensor& row_N, const dist::Communicator& ranks) {
  Places places;
  places.add(batch, row_N, ranks.rank(), ranks.size());
  return places;
}

using TensorsByRank = dist::Communicator::TensorsByRank;

// Those of a batch that have numbers in the part of `rank`.
std::vector<Tensor> numbers_of(const Batch& batch, int rank, int num_ranks) {
  std::vector<Tensor> numbers;
  for (const Run& run : batch.runs) {
    const Tensor one = run.in_part_of(rank, num_ranks);
    if (one.numel() > 0) numbers.push_back(one);
  }
  return numbers;
}

// By rank what is in its part; nothing of this rank.
TensorsByRank numbers_of_others(const Batch& batch, const dist::Communicator& ranks) {
  TensorsByRank numbers(static_cast<size_t>(ranks.size()));
  for (int rank = 0; rank < ranks.size(); ++rank) {
    if (rank != ranks.rank()) numbers[static_cast<size_t>(rank)] = numbers_of(batch, rank, ranks.size());
  }
  return numbers;
}

// own += what has come, summed up in the order of the ranks: a + b is b + a.
void add_in_order(const std::vector<Tensor>& own, TensorsByRank& come, const dist::Communicator& ranks) {
  const auto rank = static_cast<size_t>(ranks.rank());
  if (own.empty()) return;
  for (size_t other = 1; other < rank; ++other) at::_foreach_add_(come[0], come[other]);
  if (rank > 0) at::_foreach_add_(own, come[0]);
  for (size_t other = rank + 1; other < come.size(); ++other) at::_foreach_add_(own, come[other]);
}

void begin_reduce_scatter_in_place(const Batch& batch, const dist::Communicator& ranks, Exchanges& begun) {
  const std::vector<Tensor> own = numbers_of(batch, ranks.rank(), ranks.size());
  TensorsByRank come(static_cast<size_t>(ranks.size()));
  for (int rank = 0; rank < ranks.size(); ++rank) {
    if (rank == ranks.rank()) continue;
    for (const Tensor& numbers : own) come[static_cast<size_t>(rank)].push_back(at::empty_like(numbers));
  }
  begun.add([own, come, &ranks, wait = ranks.begin_swap(numbers_of_others(batch, ranks), come)]() mutable {
    wait();
    add_in_order(own, come, ranks);
  });
}

void begin_reduce_scatter(const Batch& batch, const dist::Communicator& ranks, Exchanges& begun) {
  if (batch.is_in_place()) return begin_reduce_scatter_in_place(batch, ranks, begun);
  const Tensor rows_WN = at::empty({ranks.size(), batch.size}, batch.runs.front().flat.options());
  Places all;
  for (int rank = 0; rank < ranks.size(); ++rank) all.add(batch, rows_WN[rank], rank, ranks.size());
  all.load();
  begun.add([batch, &ranks, arrival = ranks.begin_reduce_scatter(rows_WN)] {
    own_places(batch, arrival(), ranks).unload();
  });
}

void unload_others(const Batch& batch, const Tensor& rows_WN, const dist::Communicator& ranks) {
  Places others;
  for (int rank = 0; rank < ranks.size(); ++rank) {
    if (rank != ranks.rank()) others.add(batch, rows_WN[rank], rank, ranks.size());
  }
  others.unload();
}

template <typename OwnOf>
std::function<void()> begin_all_gather_in_place(const Batch& batch, const dist::Communicator& ranks,
                                                const OwnOf& own_of) {
  std::vector<Tensor> own;
  for (const Run& run : batch.runs) {
    const Tensor numbers = run.of_part(own_of(run));
    if (numbers.numel() > 0) own.push_back(numbers);
  }
  TensorsByRank to_each(static_cast<size_t>(ranks.size()), own);
  return ranks.begin_swap(to_each, numbers_of_others(batch, ranks));
}

// `own_of`: this rank's part of the tensor with a run.
template <typename OwnOf>
std::function<void()> begin_all_gather(const Batch& batch, const dist::Communicator& ranks,
                                       const OwnOf& own_of) {
  if (batch.is_in_place()) return begin_all_gather_in_place(batch, ranks, own_of);
  const Tensor own_N = at::empty({batch.size}, batch.runs.front().flat.options());
  Places own;
  own.add(batch, own_N, [&](const Run& run) { return run.of_part(own_of(run)); });
  own.load();
  return [batch, &ranks, arrival = ranks.begin_all_gather(own_N)] { unload_others(batch, arrival(), ranks); };
}

}  // namespace

Tensor own_numbers(const Tensor& whole, const dist::Communicator& ranks) {
  DDRO_CHECK(whole.is_contiguous(), "parts are cut in the order of memory");
  const Part part = part_of(whole.numel(), ranks.size(), ranks.rank());
  return whole.detach().view(-1).narrow(0, part.begin, part.size);
}

double most_exchanged(std::int64_t numbers, at::Device device) {
  const auto most = static_cast<std::int64_t>(kMostBegun) * most_at_once(device);
  return 2 * static_cast<double>(std::min(numbers, most));
}

void Exchanges::add(std::function<void()> finish) {
  begun_.push_back(std::move(finish));
  while (begun_.size() >= most_) finish_first();
}

void Exchanges::finish() {
  while (!begun_.empty()) finish_first();
}

void Exchanges::finish_first() {
  const at::NoGradGuard no_grad;
  const std::function<void()> first = std::move(begun_.front());
  begun_.pop_front();
  first();
}

void begin_all_reduce(const std::vector<Tensor>& tensors, const dist::Communicator& ranks, Exchanges& begun) {
  const at::NoGradGuard no_grad;
  for (const Batch& batch : make_batches(tensors, /*num_ranks=*/1)) {
    const Tensor all_N = at::empty({batch.size}, batch.runs.front().flat.options());
    Places places;
    places.add(batch, all_N, /*rank=*/0, /*num_ranks=*/1);
    places.load();
    begun.add([places, arrival = ranks.begin_all_reduce(all_N)] {
      arrival();
      places.unload();
    });
  }
}

void begin_reduce_scatter_parts(const std::vector<Tensor>& tensors, const dist::Communicator& ranks,
                                Exchanges& begun) {
  const at::NoGradGuard no_grad;
  for (const Batch& batch : make_batches(tensors, ranks.size())) begin_reduce_scatter(batch, ranks, begun);
}

void reduce_scatter_parts(const std::vector<Tensor>& tensors, const dist::Communicator& ranks) {
  Exchanges begun;
  begin_reduce_scatter_parts(tensors, ranks, begun);
  begun.finish();
}

void all_gather_parts(const std::vector<Tensor>& tensors, const dist::Communicator& ranks) {
  const at::NoGradGuard no_grad;
  Exchanges begun;
  const auto own_of = [&](const Run& run) { return own_numbers(run.flat, ranks); };
  for (const Batch& batch : make_batches(tensors, ranks.size()))
    begun.add(begin_all_gather(batch, ranks, own_of));
  begun.finish();
}

std::function<void()> begin_all_gather_parts(const std::vector<Tensor>& tensors,
                                             const std::vector<Tensor>& parts,
                                             const dist::Communicator& ranks) {
  const at::NoGradGuard no_grad;
  std::vector<std::function<void()>> begun;
  const auto own_of = [&](const Run& run) { return parts[run.tensor]; };
  for (const Batch& batch : make_batches(tensors, ranks.size()))
    begun.push_back(begin_all_gather(batch, ranks, own_of));
  return [tensors, parts, &ranks, begun = std::move(begun)]() mutable {
    const at::NoGradGuard still_none;
    for (size_t i = 0; i < tensors.size(); ++i) own_numbers(tensors[i], ranks).copy_(parts[i]);
    for (std::function<void()>& finish : begun) std::exchange(finish, nullptr)();
  };
}

}  // namespace ddro::train
