// Objects that belong to the running of a template rather than to its data.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "jinja/value.h"

namespace ddro::jinja {

struct MacroDefinition;
class Scope;

struct Arguments {
  std::vector<Value> positional;
  std::vector<std::pair<std::string, Value>> named;
};

// A filter, test, method or global function: `self` is what it is applied to (none for a global).
using Native = Value (*)(Machine& machine, const Value& self, Arguments& arguments);

struct Function : Object {
  std::string name;
  Native native = nullptr;
};

struct Method : Object {
  Value self;
  std::string name;
  Native native = nullptr;
};

struct Macro : Object {
  const MacroDefinition* definition = nullptr;
  std::shared_ptr<Scope> scope;  // in which it was defined
};

// The variable `loop`. Looks ahead only as far as it is asked to, because the filter of a loop may depend on
// what its body does.
struct Loop : Object {
  std::function<std::optional<Value>()> fetch;  // null once the loop has ended
  std::int64_t index0 = -1;
  Value previous;
  Value current;
  std::optional<Value> last_changed;

  bool advance();
  const Value* peek();
  std::int64_t length();

 private:
  bool fetch_one();

  std::vector<Value> ahead_;  // fetched; from next_ on not yet begun
  size_t next_ = 0;
};

std::string object_type_name(const Object& object);

}  // namespace ddro::jinja
