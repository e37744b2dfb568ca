// LibTorch tensors out of and into safetensors files.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "ddro/base/safetensors.h"
#include "ddro/base/tensor.h"

namespace ddro {

// A tensor over the mapped bytes (zero copy where aligned, else a copy); holds the mapping alive.
Tensor tensor_from_view(const TensorView& view, const std::shared_ptr<MappedFile>& mapping);

// "float32", "bfloat16", ..., as configurations and config.json have it.
std::string dtype_label(at::ScalarType dtype);

using NamedTensors = std::vector<std::pair<std::string, Tensor>>;

// write_safetensors of `tensors`; those that are not contiguous CPU tensors are copied first.
std::string write_tensors(const std::filesystem::path& path, const NamedTensors& tensors,
                          const std::map<std::string, std::string>& metadata);

}  // namespace ddro
