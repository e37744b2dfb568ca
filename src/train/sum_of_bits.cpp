#include "train/sum_of_bits.h"

#include <ATen/ATen.h>

namespace ddro::train {
namespace {

at::ScalarType integer_of(const Tensor& tensor) {
  switch (tensor.element_size()) {
    case 8:
      return at::kLong;
    case 4:
      return at::kInt;
    default:
      return at::kShort;
  }
}

}  // namespace

std::int64_t sum_of_bits(const Tensor& tensor) {
  return tensor.detach().view(integer_of(tensor)).sum(at::kLong).item<std::int64_t>();
}

}  // namespace ddro::train
