// Tensors that go to a checkpoint and come from one.
#pragma once

#include <string>
#include <unordered_map>

#include "ddro/base/tensor_io.h"
#include "ddro/train/state_tensors.h"

namespace ddro::train {

using TensorsByName = std::unordered_map<std::string, Tensor>;

TensorsByName by_name(const NamedTensors& tensors);

// Copies what `target` holds of source[target.name]; Error(kModel) with `where` when that is missing or of
// another shape or type.
void restore(const StateTensor& target, const TensorsByName& source, const std::string& where);

// Error(kModel) when a checkpoint holds more tensors than were read from it.
void check_all_read(const NamedTensors& tensors, size_t num_read, const std::string& where);

}  // namespace ddro::train
