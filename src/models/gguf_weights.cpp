#include "models/gguf_weights.h"

#include <ATen/ATen.h>

#include "ddro/base/interruption.h"
#include "ddro/gguf/hugging_face.h"
#include "ddro/ops/packed.h"
#include "models/gguf_tensors.h"

namespace ddro::models {

NamedTensors read_gguf_weights(const GgufFile& file) {
  NamedTensors tensors;
  for (const gguf::ModelTensor& each : gguf::model_tensors(file)) {
    leave_if_interrupted();
    if (each.tensor->shape.size() > 2)
      throw model_error("[" + file.where() + "] tensor " + printable(each.tensor->name) + " has " +
                        std::to_string(each.tensor->shape.size()) + " dimensions, expected at most 2");
    const Tensor tensor = without_pairs(tensor_of(*each.tensor, file.mapping()), each.heads_of_pairs);
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
