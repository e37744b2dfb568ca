// Reads a GGUF file's metadata and its table of tensors.
#include <algorithm>
#include <cstring>

#include "ddro/base/gguf_file.h"
#include "ddro/base/utf8.h"

namespace ddro {
namespace {

constexpr std::uint64_t kMaxEntries = std::uint64_t{1} << 16;  // keys, tensors
constexpr std::uint64_t kMaxTexts = std::uint64_t{1} << 22;    // of all lists together
constexpr std::uint64_t kMaxNameBytes = std::uint64_t{1} << 16;
constexpr std::uint64_t kMaxAlignment = std::uint64_t{1} << 20;
constexpr std::uint64_t kDefaultAlignment = 32;
constexpr std::uint32_t kMaxDimensions = 4;

std::string in_quotes(std::string_view name) { return "\"" + printable(std::string(name)) + "\""; }

}  // namespace

// Front to back: header, metadata, table of tensors; each tensor's bytes once the table's end is known.
class GgufFile::Reader {
 public:
  explicit Reader(GgufFile& file) : file_(file), bytes_(file.file_->bytes()) {}

  void read() {
    read_header();
    for (std::uint64_t i = 0; i < num_keys_; ++i) read_value();
    read_alignment();
    std::vector<Entry> entries;
    for (std::uint64_t i = 0; i < num_tensors_; ++i) entries.push_back(read_entry());
    const std::span<std::byte> data = find_data();
    for (Entry& entry : entries) add_tensor(std::move(entry), data);
    check_order(data);
  }

 private:
  struct Entry {
    GgufTensor tensor;
    std::uint64_t offset = 0;
  };

  [[noreturn]] void fail(const std::string& what) const {
    throw model_error("[" + file_.where_ + "] " + what);
  }
  [[noreturn]] void fail(const std::string& name, const std::string& what) const {
    fail("tensor " + in_quotes(name) + ": " + what);
  }

  std::span<std::byte> take(std::uint64_t size, const std::string& what) {
    if (size > bytes_.size() - at_)
      fail(what + " of " + std::to_string(size) + " bytes at byte " + std::to_string(at_) +
           " leads past the end of the file's " + std::to_string(bytes_.size()) + " bytes");
    at_ += size;
    return bytes_.subspan(at_ - size, size);
  }

  template <typename Number>
  Number number(const std::string& what) {
    Number value;
    std::memcpy(&value, take(sizeof(Number), what).data(), sizeof(value));
    return value;
  }

  std::string_view text(const std::string& what) {
    const auto length = number<std::uint64_t>(what);
    const auto bytes = take(length, what);
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }

  std::string name(const std::string& what) {
    const std::string_view name = text(what);
    if (name.empty() || name.size() > kMaxNameBytes || find_invalid_utf8(name) != std::string_view::npos)
      fail(what + " of " + std::to_string(name.size()) + " bytes before byte " + std::to_string(at_) +
           " is not one in UTF-8");
    return std::string(name);
  }

  std::uint64_t count(const char* what) {
    const auto count = number<std::uint64_t>(what);
    if (count > kMaxEntries)
      fail(std::string(what) + " is out of range; got " + std::to_string(count) + ", expected at most " +
           std::to_string(kMaxEntries));
    return count;
  }

  void read_header() {
    if (bytes_.size() < 4 || std::memcmp(bytes_.data(), "GGUF", 4) != 0)
      fail("not a GGUF file: it does not begin with GGUF");
    at_ = 4;
    const auto version = number<std::uint32_t>("the version");
    if (version < 2 || version > 3) {
      fail("version " + std::to_string(version) + " of the format is not supported; expected 2 or 3" +
           ((version & 0xFFFFU) == 0 ? " (this file is big-endian)" : ""));
    }
    num_tensors_ = count("the number of tensors");
    num_keys_ = count("the number of metadata keys");
  }

  ValueType value_type(const std::string& key) {
    const auto type = number<std::uint32_t>("the type of a metadata value");
    if (type > static_cast<std::uint32_t>(ValueType::kFloat64))
      file_.refuse(key, "has the unknown type " + std::to_string(type));
    return static_cast<ValueType>(type);
  }

  void read_value() {
    const std::string key = name("a metadata key");
    Value value{.type = value_type(key), .is_list = false, .bytes = {}, .texts = {}};
    std::uint64_t length = 1;
    if (value.type == ValueType::kList) {
      value.is_list = true;
      value.type = value_type(key);
      if (value.type == ValueType::kList) file_.refuse(key, "is a list of lists, which is not supported");
      length = number<std::uint64_t>("the length of a list");
    }
    if (value.type == ValueType::kText) {
      read_texts(key, length, value);
    } else {
      const size_t size = size_of(value.type);
      if (length > bytes_.size() / size)
        file_.refuse(key, "is a list of " + std::to_string(length) + " numbers, more than the file holds");
      value.bytes = take(length * size, "metadata " + in_quotes(key));
    }
    if (!file_.values_.emplace(key, std::move(value)).second) file_.refuse(key, "occurs twice");
  }

  void read_texts(const std::string& key, std::uint64_t length, Value& value) {
    const std::string what = "metadata " + in_quotes(key);
    num_texts_ += std::min(length, kMaxTexts + 1);
    if (num_texts_ > kMaxTexts || length > (bytes_.size() - at_) / sizeof(std::uint64_t))
      file_.refuse(key, "is a list of " + std::to_string(length) + " texts, more than the file may hold");
    value.texts.reserve(length);
    for (std::uint64_t i = 0; i < length; ++i) value.texts.push_back(text(what));
  }

  Entry read_entry() {
    Entry entry;
    GgufTensor& tensor = entry.tensor;
    tensor.name = name("the name of a tensor");
    const auto dimensions = number<std::uint32_t>("the number of dimensions");
    if (dimensions == 0 || dimensions > kMaxDimensions)
      fail(tensor.name, "has " + std::to_string(dimensions) + " dimensions, expected 1 to 4");
    for (std::uint32_t i = 0; i < dimensions; ++i) {
      const auto size = number<std::uint64_t>("a shape");
      if (size == 0 || size > static_cast<std::uint64_t>(INT64_MAX))
        fail(tensor.name, "shape holds something that is not a size");
      tensor.shape.insert(tensor.shape.begin(), static_cast<std::int64_t>(size));
    }
    const auto type = number<std::uint32_t>("the type of a tensor");
    const BlockFormat* format = find_block_format(type);
    if (!format) {
      fail(tensor.name,
           "its type " + std::to_string(type) + " is not supported; expected " + known_block_types());
    }
    tensor.type = format->type;
    entry.offset = number<std::uint64_t>("the offset of a tensor");
    return entry;
  }

  void read_alignment() {
    alignment_ = file_.integer("general.alignment").value_or(kDefaultAlignment);
    if (alignment_ < 8 || alignment_ > kMaxAlignment || (alignment_ & (alignment_ - 1)) != 0)
      file_.refuse("general.alignment",
                   "is out of range; got " + std::to_string(alignment_) + ", expected a power of two from 8");
  }

  // Behind the table, from the next multiple of the alignment; of a file without tensors nothing.
  std::span<std::byte> find_data() const {
    const std::uint64_t begin = (at_ + alignment_ - 1) / alignment_ * alignment_;
    return bytes_.subspan(std::min<std::uint64_t>(begin, bytes_.size()));
  }

  std::uint64_t bytes_of(const GgufTensor& tensor) const {
    const BlockFormat& format = block_format(tensor.type);
    const auto row = static_cast<std::uint64_t>(tensor.shape.back());
    if (row % format.numbers != 0) {
      fail(tensor.name, "its rows of " + std::to_string(row) + " numbers are no whole blocks of " +
                            std::string(format.name));
    }
    std::uint64_t bytes = format.bytes, numbers = 1;
    for (size_t i = 0; i < tensor.shape.size(); ++i) {
      const auto size = static_cast<std::uint64_t>(tensor.shape[i]);
      const bool is_row = i + 1 == tensor.shape.size();
      if (__builtin_mul_overflow(bytes, is_row ? size / format.numbers : size, &bytes) ||
          __builtin_mul_overflow(numbers, size, &numbers) || numbers > static_cast<std::uint64_t>(INT64_MAX))
        fail(tensor.name, "shape overflows");
    }
    return bytes;
  }

  void add_tensor(Entry entry, std::span<std::byte> data) {
    GgufTensor& tensor = entry.tensor;
    const std::uint64_t size = bytes_of(tensor);
    if (entry.offset % alignment_ != 0)
      fail(tensor.name, "its offset " + std::to_string(entry.offset) + " is off the alignment");
    if (entry.offset > data.size() || size > data.size() - entry.offset) {
      fail(tensor.name, "its " + std::to_string(size) + " bytes at " + std::to_string(entry.offset) +
                            " end past the " + std::to_string(data.size()) +
                            " bytes of data; the file is truncated or its table is wrong");
    }
    tensor.bytes = data.subspan(entry.offset, size);
    if (!file_.tensor_of_name_.emplace(tensor.name, file_.tensors_.size()).second)
      fail(tensor.name, "occurs twice");
    file_.tensors_.push_back(std::move(tensor));
  }

  // The data belong to the tensors but for what fills up the alignment, and zeros: otherwise the table is not
  // that of the data, and every tensor may have another's bytes.
  void check_order(std::span<const std::byte> data) const {
    std::vector<const GgufTensor*> order;
    for (const GgufTensor& tensor : file_.tensors_) order.push_back(&tensor);
    std::sort(order.begin(), order.end(),
              [](const auto* a, const auto* b) { return a->bytes.data() < b->bytes.data(); });
    const std::byte* end = data.data();
    for (const GgufTensor* tensor : order) {
      if (tensor->bytes.data() < end) fail(tensor->name, "its data overlaps another tensor's");
      check_empty({end, tensor->bytes.data()});
      end = tensor->bytes.data() + tensor->bytes.size();
    }
    check_empty({end, data.data() + data.size()});
  }

  void check_empty(std::span<const std::byte> gap) const {
    if (gap.size() < alignment_) return;
    const auto used =
        std::find_if(gap.begin(), gap.end(), [](std::byte value) { return value != std::byte{0}; });
    if (used == gap.end()) return;
    fail("its data from byte " + std::to_string(&*used - bytes_.data()) +
         " on belong to no tensor; the table of " + std::to_string(file_.tensors_.size()) +
         " tensors is wrong");
  }

  GgufFile& file_;
  std::span<std::byte> bytes_;
  std::uint64_t at_ = 0, alignment_ = kDefaultAlignment;
  std::uint64_t num_tensors_ = 0, num_keys_ = 0, num_texts_ = 0;
};

GgufFile::GgufFile(const std::filesystem::path& path)
    : file_(std::make_shared<MappedFile>(path)), where_(printable(path.string(), 400)) {
  Reader(*this).read();
}

}  // namespace ddro
