#include "models/gguf_tensors.h"

#include <ATen/ATen.h>

#include "ddro/base/error.h"
#include "ddro/ops/packed.h"

namespace ddro::models {
namespace {

at::ScalarType type_of_numbers(BlockType type) {
  switch (type) {
    case BlockType::kF16:
      return at::kHalf;
    case BlockType::kBF16:
      return at::kBFloat16;
    default:
      return at::kFloat;
  }
}

std::string bytes_of(const Tensor& tensor, BlockType type) {
  const Tensor numbers = ops::numbers_of(tensor, type_of_numbers(type)).to(at::kCPU);
  const Tensor stored = type == BlockType::kQ8_0 ? ops::pack_q8_0(numbers) : numbers.contiguous();
  return {static_cast<const char*>(stored.const_data_ptr()), stored.nbytes()};
}

}  // namespace

Tensor with_pairs(const Tensor& rows, std::int64_t head_dim) {
  return rows.unflatten(0, {-1, 2, head_dim / 2}).transpose(1, 2).flatten(0, 2);
}

void add_tensor(GgufWriter& writer, const std::string& name, const std::vector<std::int64_t>& shape,
                BlockType type, std::function<Tensor()> numbers) {
  writer.add_tensor(name, shape, type,
                    [numbers = std::move(numbers), type] { return bytes_of(numbers(), type); });
}

}  // namespace ddro::models
