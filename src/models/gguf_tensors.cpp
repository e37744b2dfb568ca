#include "models/gguf_tensors.h"

#include <ATen/ATen.h>

namespace ddro::models {

Tensor with_pairs(const Tensor& rows, std::int64_t head_dim) {
  return rows.unflatten(0, {-1, 2, head_dim / 2}).transpose(1, 2).flatten(0, 2);
}

void add_tensor(GgufWriter& writer, const std::string& name, const Tensor& tensor) {
  const auto bytes = [tensor] {
    const Tensor numbers = tensor.to(at::kCPU, at::kFloat).contiguous();
    return std::string(static_cast<const char*>(numbers.const_data_ptr()), numbers.nbytes());
  };
  writer.add_tensor(name, tensor.sizes().vec(), BlockType::kF32, bytes);
}

}  // namespace ddro::models
