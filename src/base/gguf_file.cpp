#include "ddro/base/gguf_file.h"

#include <cmath>
#include <cstring>

#include "ddro/base/utf8.h"

namespace ddro {
namespace {

constexpr size_t kMaxNumbers = size_t{1} << 22;  // of a list

template <typename Number>
Number number_at(const std::byte* at) {
  Number number;
  std::memcpy(&number, at, sizeof(number));
  return number;
}

}  // namespace

bool is_gguf_file(const std::filesystem::path& path) {
  std::error_code ignored;
  return path.extension() == ".gguf" && std::filesystem::is_regular_file(path, ignored);
}

size_t GgufFile::size_of(ValueType type) {
  switch (type) {
    case ValueType::kUInt8:
    case ValueType::kInt8:
    case ValueType::kBool:
      return 1;
    case ValueType::kUInt16:
    case ValueType::kInt16:
      return 2;
    case ValueType::kUInt32:
    case ValueType::kInt32:
    case ValueType::kFloat32:
      return 4;
    case ValueType::kUInt64:
    case ValueType::kInt64:
    case ValueType::kFloat64:
      return 8;
    case ValueType::kText:
    case ValueType::kList:
      break;
  }
  return 0;
}

double GgufFile::number_of(ValueType type, const std::byte* at) {
  switch (type) {
    case ValueType::kUInt8:
    case ValueType::kBool:
      return number_at<std::uint8_t>(at);
    case ValueType::kInt8:
      return number_at<std::int8_t>(at);
    case ValueType::kUInt16:
      return number_at<std::uint16_t>(at);
    case ValueType::kInt16:
      return number_at<std::int16_t>(at);
    case ValueType::kUInt32:
      return number_at<std::uint32_t>(at);
    case ValueType::kInt32:
      return number_at<std::int32_t>(at);
    case ValueType::kFloat32:
      return number_at<float>(at);
    case ValueType::kUInt64:
      return static_cast<double>(number_at<std::uint64_t>(at));
    case ValueType::kInt64:
      return static_cast<double>(number_at<std::int64_t>(at));
    case ValueType::kFloat64:
      return number_at<double>(at);
    case ValueType::kText:
    case ValueType::kList:
      break;
  }
  return 0;
}

const GgufTensor* GgufFile::find_tensor(const std::string& name) const {
  const auto found = tensor_of_name_.find(name);
  return found == tensor_of_name_.end() ? nullptr : &tensors_[found->second];
}

void GgufFile::refuse(const std::string& key, const std::string& what) const {
  throw model_error("[" + where_ + "] metadata \"" + printable(key) + "\" " + what);
}

const GgufFile::Value* GgufFile::find(const std::string& key, bool is_list, const char* expected) const {
  const auto found = values_.find(key);
  if (found == values_.end()) return nullptr;
  if (found->second.is_list != is_list) {
    refuse(key, std::string("is ") + (is_list ? "no list" : "a list") + "; expected " + expected);
  }
  return &found->second;
}

namespace {

std::int64_t whole(double number) {
  return number == std::floor(number) && std::fabs(number) < 0x1p53 ? static_cast<std::int64_t>(number) : -1;
}

}  // namespace

std::optional<std::uint64_t> GgufFile::integer(const std::string& key) const {
  const auto value = number(key);
  if (!value) return std::nullopt;
  if (whole(*value) < 0) refuse(key, "is out of range; got " + printable(*value) + ", expected a size");
  return static_cast<std::uint64_t>(*value);
}

std::optional<double> GgufFile::number(const std::string& key) const {
  const Value* value = find(key, false, "a number");
  if (!value) return std::nullopt;
  if (value->type == ValueType::kText || value->type == ValueType::kBool)
    refuse(key, "is not a number; expected one");
  const double number = number_of(value->type, value->bytes.data());
  if (!std::isfinite(number)) refuse(key, "is not a finite number; expected one");
  return number;
}

std::optional<bool> GgufFile::boolean(const std::string& key) const {
  const Value* value = find(key, false, "true or false");
  if (!value) return std::nullopt;
  if (value->type != ValueType::kBool) refuse(key, "is not true or false; expected one of them");
  return number_of(value->type, value->bytes.data()) != 0;
}

std::optional<std::string> GgufFile::text(const std::string& key) const {
  const Value* value = find(key, false, "a text");
  if (!value) return std::nullopt;
  if (value->type != ValueType::kText || find_invalid_utf8(value->texts[0]) != std::string_view::npos)
    refuse(key, "is not a text in UTF-8; expected one");
  return std::string(value->texts[0]);
}

std::vector<double> GgufFile::numbers(const std::string& key) const {
  const Value* value = find(key, true, "numbers");
  if (!value) return {};
  if (value->type == ValueType::kText) refuse(key, "is a list of texts; expected numbers");
  const size_t size = size_of(value->type);
  if (value->bytes.size() / size > kMaxNumbers) refuse(key, "has more numbers than a vocabulary may have");
  std::vector<double> numbers;
  numbers.reserve(value->bytes.size() / size);
  for (size_t at = 0; at < value->bytes.size(); at += size)
    numbers.push_back(number_of(value->type, value->bytes.data() + at));
  return numbers;
}

std::vector<std::string> GgufFile::keys() const {
  std::vector<std::string> keys;
  for (const auto& [key, value] : values_) keys.push_back(key);
  return keys;
}

const std::vector<std::string_view>& GgufFile::texts(const std::string& key) const {
  static const std::vector<std::string_view> none;
  const Value* value = find(key, true, "texts");
  if (!value) return none;
  if (value->type != ValueType::kText) refuse(key, "is a list of numbers; expected texts");
  return value->texts;
}

}  // namespace ddro
