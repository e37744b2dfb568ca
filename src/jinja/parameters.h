// Arguments bound to parameters as Python binds them.
#pragma once

#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "jinja/machine.h"
#include "jinja/objects.h"

namespace ddro::jinja {

class Parameters {
 public:
  // An error for too many arguments, unknown names, or fewer than `required`.
  Parameters(Machine& machine, std::string_view function, const Arguments& arguments,
             std::initializer_list<std::string_view> names, size_t required = 0);

  bool has(size_t index) const { return values_[index].has_value(); }
  // Given and not none.
  bool is_set(size_t index) const { return has(index) && !values_[index]->is_none(); }
  const Value& operator[](size_t index) const { return *values_[index]; }
  bool truth_of(size_t index, bool otherwise = false) const {
    return has(index) ? truth(*values_[index]) : otherwise;
  }
  // An error for what is no integer.
  std::int64_t integer(size_t index, std::int64_t otherwise) const;
  // str(value) of the argument.
  MarkedText text(size_t index, std::string_view otherwise) const;

 private:
  Machine& machine_;
  std::string function_;
  std::vector<std::optional<Value>> values_;
};

}  // namespace ddro::jinja
