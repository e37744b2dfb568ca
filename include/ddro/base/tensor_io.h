// LibTorch tensors out of and into safetensors files.
#pragma once

#include <functional>
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

// A tensor that is fetched when it is needed, from wherever it is; it need not outlive the next fetch.
struct TensorSource {
  std::string name;
  at::ScalarType dtype = at::kFloat;
  std::vector<std::int64_t> sizes;
  std::function<Tensor()> fetch;

  std::uint64_t nbytes() const;
};
using TensorSources = std::vector<TensorSource>;

TensorSources sources_of(const NamedTensors& tensors);

// write_safetensors of `tensors`, fetched one at a time; those that are not contiguous CPU tensors are copied
// first.
std::string write_tensors(const std::filesystem::path& path, const TensorSources& tensors,
                          const std::map<std::string, std::string>& metadata);
std::string write_tensors(const std::filesystem::path& path, const NamedTensors& tensors,
                          const std::map<std::string, std::string>& metadata);

}  // namespace ddro
