#include "data/arrow_values.h"

#include <arrow/api.h>

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "data/messages.h"
#include "ddro/base/error.h"
#include "ddro/base/utf8.h"

namespace ddro::data {
namespace {

using arrow::Array;
using arrow::DataType;
using arrow::Type;

bool is_text(Type::type type) {
  return type == Type::STRING || type == Type::LARGE_STRING || type == Type::STRING_VIEW;
}
bool holds_items(Type::type type) {
  return type == Type::LIST || type == Type::LARGE_LIST || type == Type::FIXED_SIZE_LIST;
}

template <typename ArrayType>
auto number_at(const Array& array, std::int64_t i) {
  return static_cast<const ArrayType&>(array).Value(i);
}

template <typename ArrayType>
Json text_at(const Array& array, std::int64_t i) {
  const std::string_view text = static_cast<const ArrayType&>(array).GetView(i);
  const size_t invalid = find_invalid_utf8(text);
  if (invalid != std::string_view::npos)
    throw BadRow{"not valid UTF-8 at byte " + std::to_string(invalid) + " of a text"};
  return std::string(text);
}

template <typename ArrayType>
Json list_at(const Array& array, std::int64_t i) {
  const auto& lists = static_cast<const ArrayType&>(array);
  const std::shared_ptr<Array> items = lists.values();
  const std::int64_t begin = lists.value_offset(i);
  Json list = Json::array();
  for (std::int64_t item = begin; item < begin + lists.value_length(i); ++item)
    list.push_back(value_at(*items, item));
  return list;
}

Json struct_at(const Array& array, std::int64_t i) {
  const auto& structs = static_cast<const arrow::StructArray&>(array);
  const arrow::ArrayVector& columns = structs.fields();
  Json object = Json::object();
  for (size_t field = 0; field < columns.size(); ++field) {
    Json value = value_at(*columns[field], i);
    if (!value.is_null())
      object[structs.struct_type()->field(static_cast<int>(field))->name()] = std::move(value);
  }
  return object;
}

Json dictionary_at(const Array& array, std::int64_t i) {
  const auto& indices = static_cast<const arrow::DictionaryArray&>(array);
  const std::int64_t index = indices.GetValueIndex(i);
  if (index < 0 || index >= indices.dictionary()->length())
    throw BadRow{"an index outside of its column's dictionary"};
  return value_at(*indices.dictionary(), index);
}

}  // namespace

bool is_readable(const DataType& type) {
  if (type.id() == Type::DICTIONARY)
    return is_readable(*static_cast<const arrow::DictionaryType&>(type).value_type());
  if (holds_items(type.id()) || type.id() == Type::STRUCT) {
    return std::all_of(type.fields().begin(), type.fields().end(),
                       [](const auto& field) { return is_readable(*field->type()); });
  }
  return is_text(type.id()) || arrow::is_integer(type.id()) || type.id() == Type::FLOAT ||
         type.id() == Type::DOUBLE || type.id() == Type::BOOL || type.id() == Type::NA;
}

Json value_at(const Array& array, std::int64_t i) {
  if (array.IsNull(i)) return nullptr;
  switch (array.type_id()) {
    case Type::BOOL:
      return number_at<arrow::BooleanArray>(array, i);
    case Type::INT8:
      return number_at<arrow::Int8Array>(array, i);
    case Type::INT16:
      return number_at<arrow::Int16Array>(array, i);
    case Type::INT32:
      return number_at<arrow::Int32Array>(array, i);
    case Type::INT64:
      return number_at<arrow::Int64Array>(array, i);
    case Type::UINT8:
      return number_at<arrow::UInt8Array>(array, i);
    case Type::UINT16:
      return number_at<arrow::UInt16Array>(array, i);
    case Type::UINT32:
      return number_at<arrow::UInt32Array>(array, i);
    case Type::UINT64:
      return number_at<arrow::UInt64Array>(array, i);
    case Type::FLOAT:
      return number_at<arrow::FloatArray>(array, i);
    case Type::DOUBLE:
      return number_at<arrow::DoubleArray>(array, i);
    case Type::STRING:
      return text_at<arrow::StringArray>(array, i);
    case Type::LARGE_STRING:
      return text_at<arrow::LargeStringArray>(array, i);
    case Type::STRING_VIEW:
      return text_at<arrow::StringViewArray>(array, i);
    case Type::LIST:
      return list_at<arrow::ListArray>(array, i);
    case Type::LARGE_LIST:
      return list_at<arrow::LargeListArray>(array, i);
    case Type::FIXED_SIZE_LIST:
      return list_at<arrow::FixedSizeListArray>(array, i);
    case Type::STRUCT:
      return struct_at(array, i);
    case Type::DICTIONARY:
      return dictionary_at(array, i);
    default:
      DDRO_CHECK(false, "a column of type " + array.type()->ToString());
  }
  return nullptr;
}

}  // namespace ddro::data
