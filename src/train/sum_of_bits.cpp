#include "train/sum_of_bits.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <functional>

namespace ddro::train {
namespace {

constexpr std::int64_t kGrain = std::int64_t{1} << 16;
constexpr std::int64_t kDeviceChunk = std::int64_t{1} << 26;  // at::sum copies what it adds up

at::ScalarType integer_of(const Tensor& tensor) {
  switch (tensor.element_size()) {
    case 8:
      return at::kLong;
    case 4:
      return at::kInt;
    case 2:
      return at::kShort;
    default:
      return at::kByte;
  }
}

template <typename Integer>
std::uint64_t sum_on_cpu(const Tensor& numbers_N) {
  const auto* const numbers = static_cast<const Integer*>(numbers_N.const_data_ptr());
  const auto sum = [numbers](std::int64_t begin, std::int64_t end, std::uint64_t so_far) {
    for (std::int64_t i = begin; i < end; ++i) so_far += static_cast<std::uint64_t>(numbers[i]);
    return so_far;
  };
  return at::parallel_reduce(0, numbers_N.numel(), kGrain, std::uint64_t{0}, sum, std::plus<>());
}

std::uint64_t sum_on_cpu(const Tensor& numbers_N) {
  switch (numbers_N.scalar_type()) {
    case at::kLong:
      return sum_on_cpu<std::int64_t>(numbers_N);
    case at::kInt:
      return sum_on_cpu<std::int32_t>(numbers_N);
    case at::kShort:
      return sum_on_cpu<std::int16_t>(numbers_N);
    default:
      return sum_on_cpu<std::uint8_t>(numbers_N);
  }
}

std::uint64_t sum_on_device(const Tensor& numbers_N) {
  std::uint64_t sum = 0;
  for (std::int64_t begin = 0; begin < numbers_N.numel(); begin += kDeviceChunk) {
    const std::int64_t size = std::min(kDeviceChunk, numbers_N.numel() - begin);
    sum += static_cast<std::uint64_t>(numbers_N.narrow(0, begin, size).sum(at::kLong).item<std::int64_t>());
  }
  return sum;
}

}  // namespace

std::uint64_t sum_of_bits(const Tensor& tensor) {
  const Tensor numbers_N = tensor.detach().view(integer_of(tensor)).reshape(-1);
  return numbers_N.is_cpu() ? sum_on_cpu(numbers_N) : sum_on_device(numbers_N);
}

}  // namespace ddro::train
