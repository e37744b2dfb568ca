// Writes GGUF files (version 3), a tensor at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ddro/base/gguf_file.h"

namespace ddro {

class GgufWriter {
 public:
  // A tensor's bytes: asked for when it is written, and once more when what was written is compared.
  using Bytes = std::function<std::string()>;

  void add_text(std::string_view key, std::string_view value);
  void add_number(std::string_view key, float value);
  void add_integer(std::string_view key, std::uint32_t value);
  void add_flag(std::string_view key, bool value);
  void add_texts(std::string_view key, const std::vector<std::string>& values);
  void add_numbers(std::string_view key, const std::vector<float>& values);
  void add_integers(std::string_view key, const std::vector<std::int32_t>& values);
  // `shape`: the numbers of the last dimension lie side by side, in whole blocks.
  void add_tensor(std::string_view name, const std::vector<std::int64_t>& shape, BlockType type, Bytes bytes);

  // Written under a temporary name, compared with what is read back, shown to `check`, which may throw, then
  // renamed to `path`. A file of that name is replaced. Error(kSave).
  void write(
      const std::filesystem::path& path,
      const std::function<void(const GgufFile&)>& check = [](const GgufFile&) {}) const;

 private:
  struct Entry {
    std::string name;
    std::uint64_t size = 0;
    Bytes bytes;
  };
  void add_key(std::string_view key, std::uint32_t type);
  void add_list(std::string_view key, std::uint32_t type, size_t length);
  void write_new(const std::filesystem::path& path) const;
  void compare(const GgufFile& file) const;

  std::string metadata_, table_;
  std::uint64_t num_keys_ = 0;
  std::vector<Entry> tensors_;
  std::uint64_t data_bytes_ = 0;
};

}  // namespace ddro
