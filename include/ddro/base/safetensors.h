// The safetensors file format (https://github.com/huggingface/safetensors), without LibTorch. Reading maps
// the file and checks every length before any tensor is handed out; writing is durable.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "ddro/base/files.h"

namespace ddro {

// Element types that a model or checkpoint may hold.
enum class DType { kFloat64, kFloat32, kFloat16, kBFloat16, kInt64, kInt32, kInt16, kInt8, kUInt8, kBool };

const char* dtype_name(DType dtype);  // as in a safetensors header: "F32", "BF16", ...
size_t dtype_size(DType dtype);       // bytes an element

struct TensorView {
  DType dtype = DType::kFloat32;
  std::vector<std::int64_t> shape;
  std::span<std::byte> bytes;  // row-major, little endian; points into the mapping
};

// One mapped file. Errors are Error(kModel) and name the file and, where there is one, the tensor.
// Refused: header length 0, above 100 MB or past the end; a header that is not a UTF-8 JSON object; duplicate
// names; unknown dtype; negative, fractional or overflowing shape or offsets; size that differs from shape x
// dtype; holes, overlaps, trailing bytes.
class SafetensorsFile {
 public:
  explicit SafetensorsFile(const std::filesystem::path& path);

  const std::map<std::string, TensorView>& tensors() const { return tensors_; }
  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  const std::filesystem::path& path() const { return file_->path(); }
  std::shared_ptr<MappedFile> mapping() const { return file_; }  // keeps the views' bytes alive

 private:
  std::shared_ptr<MappedFile> file_;
  std::map<std::string, TensorView> tensors_;
  std::map<std::string, std::string> metadata_;
};

struct NamedBytes {
  std::string name;
  DType dtype = DType::kFloat32;
  std::vector<std::int64_t> shape;
  std::span<const std::byte> bytes;
};

// Bytes that are asked for when their turn to be written comes; they need not outlive the next that are.
struct BytesSource {
  std::string name;
  DType dtype = DType::kFloat32;
  std::vector<std::int64_t> shape;
  std::function<std::span<const std::byte>()> fetch;
};

// Writes `tensors` in the reference writer's order (descending dtype size, then name), synced, to a new file
// at `path` (which must not exist: write into a temporary folder). Returns the XXH3-128 of the file's bytes,
// computed beside the writing.
std::string write_safetensors(const std::filesystem::path& path, const std::vector<BytesSource>& tensors,
                              const std::map<std::string, std::string>& metadata);
std::string write_safetensors(const std::filesystem::path& path, const std::vector<NamedBytes>& tensors,
                              const std::map<std::string, std::string>& metadata);

}  // namespace ddro
