// Weights of a GGUF file.
#pragma once

#include "ddro/base/gguf_file.h"
#include "ddro/base/tensor_io.h"

namespace ddro::models {

// With the names, the order of rows and the norms of the Hugging Face folder, over the mapped file where that
// has the same order: matrices of blocks are packed (ddro/ops/packed.h), other numbers are of the file's
// type. Error(kModel) as gguf::model_tensors, and for tensors of more than two dimensions.
NamedTensors read_gguf_weights(const GgufFile& file);

// What is packed, as float32.
NamedTensors unpacked(NamedTensors tensors);

}  // namespace ddro::models
