#include "models/gguf_weights.h"

#include <ATen/ATen.h>

#include "ddro/base/interruption.h"
#include "ddro/gguf/hugging_face.h"
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

// Over the mapped file, apart from vectors of blocks, of which nobody makes a product.
Tensor view(const GgufTensor& tensor, const std::shared_ptr<MappedFile>& mapping) {
  const Tensor whole = at::from_blob(
      tensor.bytes.data(), element_shape(tensor), [mapping](void*) {},
      at::TensorOptions(element_type(tensor.type)));
  const bool is_packed_vector = ops::is_packed(whole) && tensor.shape.size() == 1;
  return is_packed_vector ? ops::numbers_of(whole, at::kFloat).flatten() : whole;
}

// From rows whose halves take turns within each head to one half behind the other. What has no such rows is
// not of the model, and stays as it is until its shape is compared.
Tensor without_pairs(const Tensor& weight, std::int64_t heads) {
  if (heads <= 0 || weight.size(0) % (2 * heads) != 0) return weight;
  return weight.unflatten(0, {heads, -1, 2}).transpose(1, 2).flatten(0, 2).contiguous();
}

}  // namespace

NamedTensors read_gguf_weights(const GgufFile& file) {
  NamedTensors tensors;
  for (const gguf::ModelTensor& each : gguf::model_tensors(file)) {
    leave_if_interrupted();
    if (each.tensor->shape.size() > 2)
      throw model_error("[" + file.where() + "] tensor " + printable(each.tensor->name) + " has " +
                        std::to_string(each.tensor->shape.size()) + " dimensions, expected at most 2");
    const Tensor tensor = without_pairs(view(*each.tensor, file.mapping()), each.heads_of_pairs);
    tensors.emplace_back(each.name, each.plus_one ? ops::numbers_of(tensor, at::kFloat) - 1 : tensor);
  }
  return tensors;
}

NamedTensors unpacked(NamedTensors tensors) {
  for (auto& [name, tensor] : tensors) {
    leave_if_interrupted();
    if (ops::is_packed(tensor)) tensor = ops::numbers_of(tensor, at::kFloat);
  }
  return tensors;
}

}  // namespace ddro::models
