// The GGUF file format (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md), versions 2 and 3:
// metadata, and tensors whose numbers are packed in blocks. Reading maps the file and checks every length
// before anything is handed out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ddro/base/files.h"
#include "ddro/base/gguf_blocks.h"

namespace ddro {

struct GgufTensor {
  std::string name;
  BlockType type = BlockType::kF32;
  std::vector<std::int64_t> shape;  // the numbers of the last dimension lie side by side
  std::span<std::byte> bytes;       // points into the mapping
};

// Whether `path` is a file of that name (.gguf).
bool is_gguf_file(const std::filesystem::path& path);

// One mapped file. Errors are Error(kModel) and name the file and the key or the tensor. Refused: other
// versions and byte orders; counts, lengths, shapes and offsets that lead past the end of the file or
// overflow; lists of lists; keys or tensors of one name; tensor types that cannot be unpacked; tensors that
// overlap or lie off the alignment; data of no tensor; more than 65,536 keys or tensors, or 2^22 texts.
class GgufFile {
 public:
  explicit GgufFile(const std::filesystem::path& path);

  const std::vector<GgufTensor>& tensors() const { return tensors_; }  // in the file's order
  const GgufTensor* find_tensor(const std::string& name) const;

  // The value of a key; nothing (an empty list) where the file has no such key, Error where
  // its type is another.
  std::optional<std::uint64_t> integer(const std::string& key) const;  // not negative
  std::optional<double> number(const std::string& key) const;          // finite
  std::optional<bool> boolean(const std::string& key) const;
  std::optional<std::string> text(const std::string& key) const;  // UTF-8
  std::vector<double> numbers(const std::string& key) const;
  const std::vector<std::string_view>& texts(const std::string& key) const;  // into the mapping
  bool has(const std::string& key) const { return values_.contains(key); }
  std::vector<std::string> keys() const;

  const std::filesystem::path& path() const { return file_->path(); }
  std::shared_ptr<MappedFile> mapping() const { return file_; }  // keeps the tensors' bytes alive
  std::string where() const { return where_; }                   // the path, for messages

 private:
  // The file format's.
  enum class ValueType : std::uint32_t {
    kUInt8,
    kInt8,
    kUInt16,
    kInt16,
    kUInt32,
    kInt32,
    kFloat32,
    kBool,
    kText,
    kList,
    kUInt64,
    kInt64,
    kFloat64
  };
  struct Value {
    ValueType type = ValueType::kUInt8;
    bool is_list = false;
    std::span<const std::byte> bytes;     // of numbers
    std::vector<std::string_view> texts;  // one, unless it is a list
  };
  static size_t size_of(ValueType type);
  static double number_of(ValueType type, const std::byte* at);
  class Reader;

  [[noreturn]] void refuse(const std::string& key, const std::string& what) const;
  const Value* find(const std::string& key, bool is_list, const char* expected) const;

  std::shared_ptr<MappedFile> file_;
  std::string where_;
  std::map<std::string, Value> values_;
  std::vector<GgufTensor> tensors_;
  std::map<std::string, size_t> tensor_of_name_;
};

}  // namespace ddro
