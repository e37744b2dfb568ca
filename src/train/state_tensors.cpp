#include "ddro/train/state_tensors.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <c10/util/accumulate.h>

#include <algorithm>

#include "ddro/base/error.h"
#include "ddro/dist/shares.h"

namespace ddro::train {
namespace {

bool is_in_parts(const StateTensor& tensor) { return tensor.capacity > 0; }

std::int64_t num_numbers(const StateTensor& tensor) { return c10::multiply_integers(tensor.sizes); }

std::int64_t bytes_of_part(const StateTensor& tensor, int rank) {
  const std::int64_t numbers = num_numbers(tensor);
  const std::int64_t begin = std::min(numbers, rank * tensor.capacity);
  return std::min(tensor.capacity, numbers - begin) * static_cast<std::int64_t>(tensor.own.element_size());
}

// Undefined on the others.
Tensor whole_on_first(const StateTensor& tensor, const dist::Communicator& ranks) {
  const at::NoGradGuard no_grad;
  const auto num_ranks = static_cast<size_t>(ranks.size());
  std::vector<Tensor> for_each(num_ranks, at::empty({0}, tensor.own.options().dtype(at::kByte)));
  for_each.front() = tensor.own.view(at::kByte);
  std::vector<std::int64_t> from_each(num_ranks);
  for (int rank = 0; ranks.is_first() && rank < ranks.size(); ++rank)
    from_each[static_cast<size_t>(rank)] = bytes_of_part(tensor, rank);
  const Tensor bytes = ranks.all_to_all(for_each, from_each);
  return ranks.is_first() ? bytes.view(tensor.own.scalar_type()).view(tensor.sizes) : Tensor();
}

// In each round every rank gets the next of its tensors from all of them.
class Rounds {
 public:
  Rounds(const StateTensors& tensors, const std::vector<int>& rank_of, const dist::Communicator& ranks)
      : tensors_(tensors), ranks_(ranks), of_rank_(static_cast<size_t>(ranks.size())) {
    for (size_t i = 0; i < tensors.size(); ++i) of_rank_[static_cast<size_t>(rank_of[i])].push_back(i);
  }

  // Places of this rank's tensors.
  const std::vector<size_t>& own() const { return of_rank_[static_cast<size_t>(ranks_.rank())]; }

  Tensor fetch(size_t place) {
    DDRO_CHECK(round_ < own().size() && own()[round_] == place, "tensors are fetched in their order");
    return next();
  }

  void finish() {
    const auto by_size = [](const auto& a, const auto& b) { return a.size() < b.size(); };
    const size_t count = std::ranges::max_element(of_rank_, by_size)->size();
    while (round_ < count) next();
  }

 private:
  const StateTensor* tensor_of(int rank) const {
    const std::vector<size_t>& places = of_rank_[static_cast<size_t>(rank)];
    return round_ < places.size() ? &tensors_[places[round_]] : nullptr;
  }

  // Undefined where this rank has none more.
  Tensor next() {
    const at::NoGradGuard no_grad;
    const StateTensor* own = tensor_of(ranks_.rank());
    const bool gets_parts = own != nullptr && is_in_parts(*own);
    bool any = false;
    std::vector<Tensor> for_each;
    std::vector<std::int64_t> from_each;
    for (int rank = 0; rank < ranks_.size(); ++rank) {
      const StateTensor* theirs = tensor_of(rank);
      const bool sends = theirs != nullptr && is_in_parts(*theirs);
      any = any || sends;
      for_each.push_back(sends ? theirs->own.view(at::kByte) : empty_bytes());
      from_each.push_back(gets_parts ? bytes_of_part(*own, rank) : 0);
    }
    ++round_;
    const Tensor whole = any ? ranks_.all_to_all(for_each, from_each) : Tensor();
    if (own == nullptr || !gets_parts) return own == nullptr ? Tensor() : own->own;
    return whole.view(own->own.scalar_type()).view(own->sizes);
  }

  // Where the parts are.
  Tensor empty_bytes() const {
    const auto in_parts = std::ranges::find_if(tensors_, is_in_parts);
    const auto device = in_parts == tensors_.end() ? at::Device(at::kCPU) : in_parts->own.device();
    return at::empty({0}, at::TensorOptions(device).dtype(at::kByte));
  }

  const StateTensors& tensors_;
  const dist::Communicator& ranks_;
  std::vector<std::vector<size_t>> of_rank_;
  size_t round_ = 0;
};

}  // namespace

std::vector<int> share_out(const StateTensors& tensors, int num_ranks) {
  std::vector<double> bytes;
  for (const StateTensor& tensor : tensors)
    bytes.push_back(static_cast<double>(num_numbers(tensor)) *
                    static_cast<double>(tensor.own.element_size()));
  return dist::balanced_shares(bytes, num_ranks).rank_of;
}

void lend_whole(const StateTensors& tensors, const std::vector<int>& rank_of, const dist::Communicator& ranks,
                const std::function<void(const TensorSources&)>& use) {
  Rounds rounds(tensors, rank_of, ranks);
  TensorSources sources;
  for (const size_t i : rounds.own()) {
    const StateTensor& tensor = tensors[i];
    sources.push_back(
        {tensor.name, tensor.own.scalar_type(), tensor.sizes, [&rounds, i] { return rounds.fetch(i); }});
  }
  try {
    use(sources);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kLost) rounds.finish();
    throw;
  }
  rounds.finish();
}

void lend_whole(const StateTensors& tensors, const dist::Communicator& ranks,
                const std::function<void(const TensorSources&)>& use) {
  constexpr double kNoMore = -1;
  if (!ranks.is_first()) {
    for (double place = ranks.broadcast(kNoMore); place != kNoMore; place = ranks.broadcast(kNoMore))
      whole_on_first(tensors[static_cast<size_t>(place)], ranks);
    return;
  }
  TensorSources sources;
  for (size_t i = 0; i < tensors.size(); ++i) {
    const auto fetch = [&tensor = tensors[i], &ranks, i] {
      if (!is_in_parts(tensor)) return tensor.own;
      ranks.broadcast(static_cast<double>(i));
      return whole_on_first(tensor, ranks);
    };
    sources.push_back({tensors[i].name, tensors[i].own.scalar_type(), tensors[i].sizes, fetch});
  }
  try {
    use(sources);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kLost) ranks.broadcast(kNoMore);
    throw;
  }
  ranks.broadcast(kNoMore);
}

}  // namespace ddro::train
