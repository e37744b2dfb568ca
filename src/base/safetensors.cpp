#include "ddro/base/safetensors.h"

#include <algorithm>
#include <cstring>
#include <functional>
#include <future>
#include <numeric>
#include <optional>

#include "ddro/base/file_order.h"
#include "ddro/base/hash.h"
#include "ddro/base/json.h"

namespace ddro {
namespace {

constexpr std::uint64_t kMaxHeaderBytes = std::uint64_t{1} << 24;  // 256 for each of the most entries
// A model of 60 layers with 384 experts each has 70,000 tensors, in more than 60 files.
constexpr size_t kMaxEntries = size_t{1} << 16;

struct DTypeRow {
  DType dtype;
  const char* name;
  size_t size;
};

constexpr DTypeRow kDTypes[] = {
    {DType::kFloat64, "F64", 8},   {DType::kFloat32, "F32", 4}, {DType::kFloat16, "F16", 2},
    {DType::kBFloat16, "BF16", 2}, {DType::kInt64, "I64", 8},   {DType::kInt32, "I32", 4},
    {DType::kInt16, "I16", 2},     {DType::kInt8, "I8", 1},     {DType::kUInt8, "U8", 1},
    {DType::kBool, "BOOL", 1},
};

const DTypeRow& row_of(DType dtype) {
  return *std::find_if(std::begin(kDTypes), std::end(kDTypes),
                       [&](const DTypeRow& row) { return row.dtype == dtype; });
}

// A non-negative integer that fits in int64, as JSON wrote it: no sign, no fraction, no exponent.
std::optional<std::uint64_t> as_size(const Json& value) {
  if (!value.is_number_unsigned()) return std::nullopt;
  const auto number = value.get<std::uint64_t>();
  if (number > static_cast<std::uint64_t>(INT64_MAX)) return std::nullopt;
  return number;
}

struct Range {
  std::uint64_t begin;
  std::uint64_t end;
  std::string name;
};

class HeaderReader {
 public:
  HeaderReader(const std::string& file, std::span<std::byte> data) : file_(file), data_(data) {}

  TensorView read(const std::string& name, const Json& entry) {
    if (!entry.is_object()) fail(name, "its entry is not an object");
    for (const auto& [key, value] : entry.items()) {
      if (key != "dtype" && key != "shape" && key != "data_offsets")
        fail(name, "unknown field \"" + printable(key) + "\"");
    }
    TensorView view;
    const auto dtype = entry.find("dtype");
    if (dtype == entry.end() || !dtype->is_string()) fail(name, "dtype is missing or not a string");
    const auto* const known = std::find_if(std::begin(kDTypes), std::end(kDTypes), [&](const DTypeRow& row) {
      return dtype->get<std::string>() == row.name;
    });
    if (known == std::end(kDTypes)) {
      fail(name, "dtype " + printable(dtype->get<std::string>()) + " is not supported");
    }
    view.dtype = known->dtype;

    const auto shape = entry.find("shape");
    if (shape == entry.end() || !shape->is_array()) fail(name, "shape is missing or not an array");
    if (shape->size() > 8) fail(name, "shape has more than 8 dimensions");
    // Without its zeros the product must fit, too: strides are made from it.
    std::uint64_t bytes = known->size;
    bool is_empty = false;
    for (const Json& dimension : *shape) {
      const auto size = as_size(dimension);
      if (!size) fail(name, "shape holds something that is not a size");
      if (__builtin_mul_overflow(bytes, std::max<std::uint64_t>(*size, 1), &bytes))
        fail(name, "shape overflows");
      view.shape.push_back(static_cast<std::int64_t>(*size));
      is_empty |= *size == 0;
    }
    if (is_empty) bytes = 0;

    const auto offsets = entry.find("data_offsets");
    if (offsets == entry.end() || !offsets->is_array() || offsets->size() != 2) {
      fail(name, "data_offsets is missing or not two numbers");
    }
    const auto begin = as_size((*offsets)[0]);
    const auto end = as_size((*offsets)[1]);
    if (!begin || !end || *begin > *end) fail(name, "data_offsets are not two ascending sizes");
    if (*end > data_.size()) {
      fail(name, "data ends at byte " + std::to_string(*end) + ", past the " + std::to_string(data_.size()) +
                     " bytes of data; the file is truncated or its header is wrong");
    }
    if (*end - *begin != bytes) {
      fail(name, "data has " + std::to_string(*end - *begin) + " bytes, shape and dtype need " +
                     std::to_string(bytes));
    }
    view.bytes = data_.subspan(*begin, bytes);
    ranges_.push_back({*begin, *end, name});
    return view;
  }

  // The tensors' bytes must tile the data section: no hole, no overlap, nothing behind.
  void check_tiling() {
    std::sort(ranges_.begin(), ranges_.end(), [](const Range& a, const Range& b) {
      return std::tie(a.begin, a.end) < std::tie(b.begin, b.end);
    });
    std::uint64_t at = 0;
    for (const Range& range : ranges_) {
      if (range.begin != at)
        fail(range.name,
             range.begin > at ? "a hole lies before its data" : "its data overlaps another tensor's");
      at = range.end;
    }
    if (at != data_.size()) {
      throw model_error("[" + file_ + "] " + std::to_string(data_.size() - at) +
                        " bytes follow the last tensor");
    }
  }

 private:
  [[noreturn]] void fail(const std::string& name, const std::string& what) const {
    throw model_error("[" + file_ + "] tensor \"" + printable(name) + "\": " + what);
  }

  std::string file_;
  std::span<std::byte> data_;
  std::vector<Range> ranges_;
};

std::uint64_t num_bytes(const BytesSource& tensor) {
  return std::accumulate(
      tensor.shape.begin(), tensor.shape.end(), std::uint64_t{dtype_size(tensor.dtype)},
      [](std::uint64_t product, std::int64_t size) { return product * static_cast<std::uint64_t>(size); });
}

std::vector<const BytesSource*> in_file_order(const std::vector<BytesSource>& tensors) {
  std::vector<const BytesSource*> order;
  for (const BytesSource& tensor : tensors) order.push_back(&tensor);
  std::ranges::sort(order, {}, [](const BytesSource* tensor) {
    return file_order(dtype_size(tensor->dtype), tensor->name);
  });
  return order;
}

std::string header_text(const std::vector<const BytesSource*>& order,
                        const std::map<std::string, std::string>& metadata) {
  Json header = Json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  std::uint64_t offset = 0;
  for (const BytesSource* tensor : order) {
    DDRO_CHECK(!header.contains(tensor->name), "tensor " + tensor->name + " is written twice");
    const std::uint64_t end = offset + num_bytes(*tensor);
    header[tensor->name] = {
        {"dtype", dtype_name(tensor->dtype)}, {"shape", tensor->shape}, {"data_offsets", {offset, end}}};
    offset = end;
  }
  std::string text = header.dump();
  text.append((8 - text.size() % 8) % 8, ' ');
  return text;
}

class HashedFile {
 public:
  explicit HashedFile(const std::filesystem::path& path) : file_(path) {}

  // Hashes while it writes; in turn where no thread can be had.
  void write(std::span<const std::byte> bytes) {
    auto hashed =
        std::async(std::launch::async | std::launch::deferred, [this, bytes] { hasher_.update(bytes); });
    file_.write(bytes);
    hashed.get();
  }
  std::string close() {
    file_.close();
    return hasher_.hex();
  }

 private:
  DurableFile file_;
  Hasher hasher_;
};

}  // namespace

const char* dtype_name(DType dtype) { return row_of(dtype).name; }
size_t dtype_size(DType dtype) { return row_of(dtype).size; }

SafetensorsFile::SafetensorsFile(const std::filesystem::path& path)
    : file_(std::make_shared<MappedFile>(path)) {
  const std::string where = printable(path.string(), 400);
  const auto bytes = file_->bytes();
  if (bytes.size() < 8)
    throw model_error("[" + where + "] too short for a safetensors file: " + std::to_string(bytes.size()) +
                      " bytes");
  std::uint64_t header_bytes = 0;
  std::memcpy(&header_bytes, bytes.data(), 8);
  if (header_bytes == 0 || header_bytes > kMaxHeaderBytes || header_bytes > bytes.size() - 8) {
    throw model_error("[" + where + "] not a safetensors file, or truncated: header length " +
                      std::to_string(header_bytes) + " in a file of " + std::to_string(bytes.size()) +
                      " bytes");
  }
  const std::string_view header_text(reinterpret_cast<const char*>(bytes.data()) + 8, header_bytes);
  if (header_text.front() != '{')
    throw model_error("[" + where + "] not a safetensors file: its header does not begin with {");
  const Json header = parse_json(header_text, where + " header", ErrorKind::kModel, 4);
  if (header.size() > kMaxEntries) {
    throw model_error("[" + where + "] its header has " + std::to_string(header.size()) +
                      " entries, expected at most " + std::to_string(kMaxEntries));
  }
  HeaderReader reader(where, bytes.subspan(8 + header_bytes));
  for (const auto& [name, entry] : header.items()) {
    if (name == "__metadata__") {
      if (!entry.is_object()) throw model_error("[" + where + "] __metadata__ is not an object");
      for (const auto& [key, value] : entry.items()) {
        if (!value.is_string())
          throw model_error("[" + where + "] __metadata__ holds something that is not a string");
        metadata_[key] = value.get<std::string>();
      }
    } else {
      tensors_[name] = reader.read(name, entry);
    }
  }
  reader.check_tiling();
}

std::string write_safetensors(const std::filesystem::path& path, const std::vector<BytesSource>& tensors,
                              const std::map<std::string, std::string>& metadata) {
  const std::vector<const BytesSource*> order = in_file_order(tensors);
  const std::string text = header_text(order, metadata);
  const std::uint64_t header_bytes = text.size();
  HashedFile file(path);
  file.write(std::as_bytes(std::span(&header_bytes, 1)));
  file.write(std::as_bytes(std::span(text)));
  for (const BytesSource* tensor : order) {
    const auto bytes = tensor->fetch();
    DDRO_CHECK(bytes.size() == num_bytes(*tensor), "tensor " + tensor->name + " has another size");
    file.write(bytes);
  }
  return file.close();
}

std::string write_safetensors(const std::filesystem::path& path, const std::vector<NamedBytes>& tensors,
                              const std::map<std::string, std::string>& metadata) {
  std::vector<BytesSource> sources;
  for (const NamedBytes& tensor : tensors)
    sources.push_back({tensor.name, tensor.dtype, tensor.shape, [&tensor] { return tensor.bytes; }});
  return write_safetensors(path, sources, metadata);
}

}  // namespace ddro
