// Tensors as GGUF files have them.
#pragma once

#include "ddro/base/gguf_writer.h"
#include "ddro/base/tensor.h"

namespace ddro::models {

// Rows in the file's order: those of a head's two halves take turns.
Tensor with_pairs(const Tensor& rows, std::int64_t head_dim);

// In float32.
void add_tensor(GgufWriter& writer, const std::string& name, const Tensor& tensor);

}  // namespace ddro::models
