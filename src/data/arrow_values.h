// Values of Arrow's columns as JSON.
#pragma once

#include <cstdint>

#include "ddro/base/json.h"

namespace arrow {
class Array;
class DataType;
}  // namespace arrow

namespace ddro::data {

// Text, numbers, booleans, and lists and structs of these, also as dictionaries.
bool is_readable(const arrow::DataType& type);

// Of a readable type; fields of a struct that are null are left out. Throws BadRow (messages.h) for a text
// that is not UTF-8. From any thread.
Json value_at(const arrow::Array& array, std::int64_t i);

}  // namespace ddro::data
