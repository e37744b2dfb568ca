#include "models/gguf_tensors.h"

#include <ATen/ATen.h>

#include "ddro/base/error.h"
#include "ddro/ops/packed.h"

namespace ddro::models {
namespace {

at::ScalarType element_type(BlockType type) {
  switch (type) {
    case BlockType::kF32:
      return at::kFloat;
    case BlockType::kF16:
      return at::kHalf;
    case BlockType::kBF16:
      return at::kBFloat16;
    default:
      return at::kByte;
  }
}

std::vector<std::int64_t> element_shape(const GgufTensor& tensor) {
  if (element_type(tensor.type) != at::kByte) return tensor.shape;
  const BlockFormat& format = block_format(tensor.type);
  const std::int64_t rows = tensor.shape.size() == 1 ? 1 : tensor.shape.front();
  return {rows, tensor.shape.back() / static_cast<std::int64_t>(format.numbers),
          static_cast<std::int64_t>(format.bytes)};
}

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

Tensor without_pairs(const Tensor& rows, std::int64_t heads) {
  if (heads <= 0 || rows.size(0) % (2 * heads) != 0) return rows;
  return rows.unflatten(0, {heads, -1, 2}).transpose(1, 2).flatten(0, 2).contiguous();
}

Tensor tensor_of(const GgufTensor& tensor, const std::shared_ptr<MappedFile>& mapping) {
  const Tensor whole = at::from_blob(
      tensor.bytes.data(), element_shape(tensor), [mapping](void*) {},
      at::TensorOptions(element_type(tensor.type)));
  const bool is_packed_vector = ops::is_packed(whole) && tensor.shape.size() == 1;
  return is_packed_vector ? ops::numbers_of(whole, at::kFloat).flatten() : whole;
}

void add_tensor(GgufWriter& writer, const std::string& name, const std::vector<std::int64_t>& shape,
                BlockType type, std::function<Tensor()> numbers) {
  writer.add_tensor(name, shape, type,
                    [numbers = std::move(numbers), type] { return bytes_of(numbers(), type); });
}

}  // namespace ddro::models
