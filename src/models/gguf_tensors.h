// Tensors as GGUF files have them.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "ddro/base/gguf_writer.h"
#include "ddro/base/tensor.h"

namespace ddro::models {

// Rows in the file's order: those of a head's two halves take turns.
Tensor with_pairs(const Tensor& rows, std::int64_t head_dim);
// The way back, of so many heads. What has no such rows is not of the model, and stays as it is until its
// shape is compared.
Tensor without_pairs(const Tensor& rows, std::int64_t heads);

// Over the mapped file, apart from vectors of blocks, of which nobody makes a product. Matrices of blocks are
// packed (ddro/ops/packed.h).
Tensor tensor_of(const GgufTensor& tensor, const std::shared_ptr<MappedFile>& mapping);

// `numbers`: made when they are written; of any type, or packed rows (ddro/ops/packed.h). `type`: float32,
// float16, bfloat16 or Q8_0.
void add_tensor(GgufWriter& writer, const std::string& name, const std::vector<std::int64_t>& shape,
                BlockType type, std::function<Tensor()> numbers);

}  // namespace ddro::models
