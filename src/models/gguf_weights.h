// Weights of a GGUF file.
#pragma once

#include "ddro/base/gguf_file.h"
#include "ddro/base/tensor_io.h"

namespace ddro::models {

// With the names, the order of rows and the norms of the Hugging Face folder; blocks unpacked to float32,
// other numbers as they lie in the mapped file. Error(kModel) as gguf::model_tensors.
NamedTensors read_gguf_weights(const GgufFile& file);

}  // namespace ddro::models
