#include "ddro/base/tensor_io.h"

#include <ATen/ATen.h>
#include <c10/util/accumulate.h>

namespace ddro {
namespace {

at::ScalarType scalar_type(DType dtype) {
  switch (dtype) {
    case DType::kFloat64:
      return at::kDouble;
    case DType::kFloat32:
      return at::kFloat;
    case DType::kFloat16:
      return at::kHalf;
    case DType::kBFloat16:
      return at::kBFloat16;
    case DType::kInt64:
      return at::kLong;
    case DType::kInt32:
      return at::kInt;
    case DType::kInt16:
      return at::kShort;
    case DType::kInt8:
      return at::kChar;
    case DType::kUInt8:
      return at::kByte;
    case DType::kBool:
      return at::kBool;
  }
  return at::kFloat;
}

DType dtype_of(at::ScalarType type) {
  switch (type) {
    case at::kDouble:
      return DType::kFloat64;
    case at::kFloat:
      return DType::kFloat32;
    case at::kHalf:
      return DType::kFloat16;
    case at::kBFloat16:
      return DType::kBFloat16;
    case at::kLong:
      return DType::kInt64;
    case at::kInt:
      return DType::kInt32;
    case at::kShort:
      return DType::kInt16;
    case at::kChar:
      return DType::kInt8;
    case at::kByte:
      return DType::kUInt8;
    case at::kBool:
      return DType::kBool;
    default:
      break;
  }
  DDRO_CHECK(false, "a tensor of this type cannot be written");
}

}  // namespace

std::string dtype_label(at::ScalarType dtype) {
  switch (dtype) {
    case at::kDouble:
      return "float64";
    case at::kFloat:
      return "float32";
    case at::kHalf:
      return "float16";
    case at::kBFloat16:
      return "bfloat16";
    default:
      return at::toString(dtype);
  }
}

Tensor tensor_from_view(const TensorView& view, const std::shared_ptr<MappedFile>& mapping) {
  const auto options = at::TensorOptions().dtype(scalar_type(view.dtype));
  const bool aligned = reinterpret_cast<std::uintptr_t>(view.bytes.data()) % dtype_size(view.dtype) == 0;
  if (view.bytes.empty()) return at::empty(view.shape, options);
  if (aligned) {
    return at::from_blob(
        view.bytes.data(), view.shape, [mapping](void*) {}, options);
  }
  Tensor copy = at::empty(view.shape, options);
  std::memcpy(copy.data_ptr(), view.bytes.data(), view.bytes.size());
  return copy;
}

std::uint64_t TensorSource::nbytes() const {
  return static_cast<std::uint64_t>(c10::multiply_integers(sizes)) * at::elementSize(dtype);
}

TensorSources sources_of(const NamedTensors& tensors) {
  TensorSources sources;
  for (const auto& [name, tensor] : tensors)
    sources.push_back(
        {name, tensor.scalar_type(), tensor.sizes().vec(), [tensor = tensor] { return tensor; }});
  return sources;
}

std::string write_tensors(const std::filesystem::path& path, const TensorSources& tensors,
                          const std::map<std::string, std::string>& metadata) {
  Tensor held;
  std::vector<BytesSource> files;
  for (const TensorSource& source : tensors) {
    files.push_back({source.name, dtype_of(source.dtype), source.sizes, [&held, &source] {
                       held.reset();
                       held = source.fetch().detach().to(at::kCPU).contiguous();
                       return std::span(static_cast<const std::byte*>(held.const_data_ptr()), held.nbytes());
                     }});
  }
  return write_safetensors(path, files, metadata);
}

std::string write_tensors(const std::filesystem::path& path, const NamedTensors& tensors,
                          const std::map<std::string, std::string>& metadata) {
  return write_tensors(path, sources_of(tensors), metadata);
}

}  // namespace ddro
