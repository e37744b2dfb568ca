#include "ddro/dist/communicator.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cstring>

namespace ddro::dist {
namespace {

class Alone : public Communicator {
 public:
  Alone() : Communicator(0, 1) {}
  Arrival begin_all_reduce(const Tensor& tensor) const override {
    return [tensor] { return tensor; };
  }
  Arrival begin_reduce_scatter(const Tensor& rows_WN) const override {
    return [rows_WN] { return rows_WN[0]; };
  }
  Arrival begin_all_gather(const Tensor& own_N) const override {
    return [own_N] { return own_N.unsqueeze(0); };
  }
  std::function<void()> begin_swap(const TensorsByRank&, const TensorsByRank&) const override {
    return [] {};
  }
  Tensor all_to_all(const std::vector<Tensor>& for_each, const std::vector<std::int64_t>&) const override {
    return for_each.front();
  }
  std::vector<std::string> exchange(const std::string& said) const override { return {said}; }
};

std::vector<std::int64_t> sizes_of(const Tensor& gathered_W) {
  return {gathered_W.const_data_ptr<std::int64_t>(),
          gathered_W.const_data_ptr<std::int64_t>() + gathered_W.numel()};
}

}  // namespace

// Padded to the longest; where nobody has any there is nothing to send.
template <typename Values>
std::vector<Values> Communicator::gather_values(const Values& values) const {
  if (size_ == 1) return {values};
  const auto own_size = static_cast<std::int64_t>(values.size());
  const std::vector<std::int64_t> sizes = sizes_of(all_gather(at::full({1}, own_size, at::kLong)));
  const std::int64_t longest = *std::max_element(sizes.begin(), sizes.end());
  std::vector<Values> result(sizes.size());
  if (longest == 0) return result;
  using Value = typename Values::value_type;
  const Tensor own_N = at::zeros({longest}, sizeof(Value) == 1 ? at::kByte : at::kDouble);
  std::memcpy(own_N.data_ptr(), values.data(), values.size() * sizeof(Value));
  const Tensor all = all_gather(own_N);
  const auto* begin = static_cast<const Value*>(all.const_data_ptr());
  for (size_t rank = 0; rank < result.size(); ++rank) {
    const Value* own = begin + static_cast<std::int64_t>(rank) * longest;
    result[rank].assign(own, own + sizes[rank]);
  }
  return result;
}

std::vector<std::vector<double>> Communicator::all_gather(const std::vector<double>& values) const {
  return gather_values(values);
}

std::vector<std::string> Communicator::all_gather(const std::string& bytes) const {
  return gather_values(bytes);
}

std::string Communicator::broadcast(const std::string& bytes) const {
  return all_gather(is_first() ? bytes : std::string()).front();
}

std::vector<double> Communicator::broadcast(const std::vector<double>& values) const {
  return all_gather(is_first() ? values : std::vector<double>()).front();
}

bool Communicator::any(bool value) const {
  if (size_ == 1) return value;
  const std::vector<std::int64_t> all = sizes_of(all_gather(at::full({1}, value ? 1 : 0, at::kLong)));
  return std::any_of(all.begin(), all.end(), [](std::int64_t one) { return one != 0; });
}

const Communicator& alone() {
  static const Alone instance;
  return instance;
}

}  // namespace ddro::dist
