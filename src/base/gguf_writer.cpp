#include "ddro/base/gguf_writer.h"

#include <cstring>

#include "ddro/base/error.h"
#include "ddro/base/files.h"

namespace ddro {
namespace {

constexpr std::uint32_t kVersion = 3;
constexpr std::uint32_t kUInt32 = 4, kInt32 = 5, kFloat32 = 6, kBool = 7, kText = 8, kList = 9;  // of values
constexpr std::uint64_t kAlignment = 32;

template <typename Number>
void put(std::string& bytes, Number number) {
  char raw[sizeof(number)];
  std::memcpy(raw, &number, sizeof(number));
  bytes.append(raw, sizeof(number));
}

void put_text(std::string& bytes, std::string_view text) {
  put<std::uint64_t>(bytes, text.size());
  bytes += text;
}

std::uint64_t aligned(std::uint64_t size) { return (size + kAlignment - 1) / kAlignment * kAlignment; }

std::uint64_t packed_size(const std::vector<std::int64_t>& shape, const BlockFormat& format) {
  std::uint64_t numbers = 1;
  for (const std::int64_t size : shape) numbers *= static_cast<std::uint64_t>(size);
  DDRO_CHECK(static_cast<size_t>(shape.back()) % format.numbers == 0, "rows are of whole blocks");
  return numbers / format.numbers * format.bytes;
}

}  // namespace

void GgufWriter::add_key(std::string_view key, std::uint32_t type) {
  put_text(metadata_, key);
  put(metadata_, type);
  ++num_keys_;
}

void GgufWriter::add_text(std::string_view key, std::string_view value) {
  add_key(key, kText);
  put_text(metadata_, value);
}

void GgufWriter::add_number(std::string_view key, float value) {
  add_key(key, kFloat32);
  put(metadata_, value);
}

void GgufWriter::add_integer(std::string_view key, std::uint32_t value) {
  add_key(key, kUInt32);
  put(metadata_, value);
}

void GgufWriter::add_flag(std::string_view key, bool value) {
  add_key(key, kBool);
  put<std::uint8_t>(metadata_, value ? 1 : 0);
}

void GgufWriter::add_list(std::string_view key, std::uint32_t type, size_t length) {
  add_key(key, kList);
  put(metadata_, type);
  put<std::uint64_t>(metadata_, length);
}

void GgufWriter::add_texts(std::string_view key, const std::vector<std::string>& values) {
  add_list(key, kText, values.size());
  for (const std::string& value : values) put_text(metadata_, value);
}

void GgufWriter::add_numbers(std::string_view key, const std::vector<float>& values) {
  add_list(key, kFloat32, values.size());
  for (const float value : values) put(metadata_, value);
}

void GgufWriter::add_integers(std::string_view key, const std::vector<std::int32_t>& values) {
  add_list(key, kInt32, values.size());
  for (const std::int32_t value : values) put(metadata_, value);
}

void GgufWriter::add_tensor(std::string_view name, const std::vector<std::int64_t>& shape, BlockType type,
                            Bytes bytes) {
  put_text(table_, name);
  put(table_, static_cast<std::uint32_t>(shape.size()));
  for (auto size = shape.rbegin(); size != shape.rend(); ++size)
    put(table_, static_cast<std::uint64_t>(*size));
  put(table_, static_cast<std::uint32_t>(type));
  put(table_, data_bytes_);
  tensors_.push_back({std::string(name), packed_size(shape, block_format(type)), std::move(bytes)});
  data_bytes_ += aligned(tensors_.back().size);
}

void GgufWriter::write_new(const std::filesystem::path& path) const {
  std::string head = "GGUF";
  put(head, kVersion);
  put<std::uint64_t>(head, tensors_.size());
  put(head, num_keys_);
  head += metadata_ + table_;
  head.resize(aligned(head.size()));
  DurableFile file(path);
  file.write(head);
  for (const Entry& tensor : tensors_) {
    const std::string bytes = tensor.bytes();
    DDRO_CHECK(bytes.size() == tensor.size, "a tensor has the bytes that its shape calls for");
    file.write(bytes);
    file.write(std::string(aligned(bytes.size()) - bytes.size(), '\0'));
  }
  file.close();
}

void GgufWriter::compare(const GgufFile& file) const {
  for (const Entry& tensor : tensors_) {
    const GgufTensor* stored = file.find_tensor(tensor.name);
    const std::string bytes = tensor.bytes();
    if (!stored || stored->bytes.size() != bytes.size() ||
        std::memcmp(stored->bytes.data(), bytes.data(), bytes.size()) != 0)
      throw save_error("[" + file.where() + "] tensor " + tensor.name + " is not what was written");
    file.mapping()->release_pages();
  }
}

void GgufWriter::write(const std::filesystem::path& path,
                       const std::function<void(const GgufFile&)>& check) const {
  std::filesystem::path temporary = path.parent_path() / ".";
  temporary += path.stem();
  temporary += ".ddro-export.gguf";  // what `check` opens as one by its name
  std::error_code ignored;
  std::filesystem::remove(temporary, ignored);  // left by an earlier export
  try {
    write_new(temporary);
    const GgufFile file(temporary);
    compare(file);
    check(file);
    rename_durable(temporary, path);
  } catch (...) {
    std::filesystem::remove(temporary, ignored);
    throw;
  }
}

}  // namespace ddro
