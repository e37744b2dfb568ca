#include "models/gguf_weights.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <optional>

#include "ddro/gguf/hugging_face.h"

namespace ddro::models {
namespace {

constexpr std::int64_t kNumbersATask = 1 << 16;

// Of numbers that are not packed.
std::optional<at::ScalarType> float_type(BlockType type) {
  switch (type) {
    case BlockType::kF32:
      return at::kFloat;
    case BlockType::kF16:
      return at::kHalf;
    case BlockType::kBF16:
      return at::kBFloat16;
    default:
      return std::nullopt;
  }
}

Tensor unpack(const GgufTensor& packed) {
  Tensor tensor = at::empty(packed.shape, at::TensorOptions(at::kFloat));
  const std::int64_t width = packed.shape.back(), rows = tensor.numel() / width;
  const size_t row_bytes = packed.bytes.size() / static_cast<size_t>(rows);
  float* const out = tensor.mutable_data_ptr<float>();
  at::parallel_for(0, rows, std::max<std::int64_t>(1, kNumbersATask / width),
                   [&](std::int64_t begin, std::int64_t end) {
                     const auto first = static_cast<size_t>(begin), count = static_cast<size_t>(end - begin);
                     unpack_blocks(packed.type, packed.bytes.subspan(first * row_bytes, count * row_bytes),
                                   {out + begin * width, count * static_cast<size_t>(width)});
                   });
  return tensor;
}

Tensor numbers_of(const GgufTensor& tensor, const std::shared_ptr<MappedFile>& mapping) {
  const auto type = float_type(tensor.type);
  if (!type) return unpack(tensor);
  return at::from_blob(
      tensor.bytes.data(), tensor.shape, [mapping](void*) {}, at::TensorOptions(*type));
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
    const Tensor tensor = without_pairs(numbers_of(*each.tensor, file.mapping()), each.heads_of_pairs);
    tensors.emplace_back(each.name, each.plus_one ? tensor.to(at::kFloat) - 1 : tensor);
  }
  return tensors;
}

}  // namespace ddro::models
