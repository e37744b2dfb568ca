// Values of the template language: Python's, as far as templates can tell them apart.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "jinja/marked_text.h"

namespace ddro::jinja {

class Machine;
struct BigInteger;
struct List;
class Dict;

// What has identity or state: ranges, iterators, namespaces, macros, loops. Owned by the Machine of the
// rendering, so that a namespace may hold itself.
struct Object {
  virtual ~Object() = default;
};

// jinja2's default Undefined: prints as nothing, is false and empty; anything else is the error `problem`.
struct Undefined {
  std::shared_ptr<const std::string> problem;
};
struct None {};

using BigIntegerRef = std::shared_ptr<const BigInteger>;  // an int that 64 bits do not hold; see integers.h
using TextRef = std::shared_ptr<const MarkedText>;
using ListRef = std::shared_ptr<const List>;
using DictRef = std::shared_ptr<const Dict>;

struct Value {
  std::variant<None, Undefined, bool, std::int64_t, BigIntegerRef, double, TextRef, ListRef, DictRef, Object*>
      data;

  bool is_none() const { return std::holds_alternative<None>(data); }
  bool is_undefined() const { return std::holds_alternative<Undefined>(data); }
  const MarkedText* text() const { return dereference<TextRef>(); }
  const List* list() const { return dereference<ListRef>(); }  // a list or a tuple
  const Dict* dict() const { return dereference<DictRef>(); }
  const bool* boolean() const { return std::get_if<bool>(&data); }
  const double* real() const { return std::get_if<double>(&data); }
  const BigInteger* big_integer() const { return dereference<BigIntegerRef>(); }
  // An int or, as in Python, a bool.
  bool is_integer() const { return boolean() || big_integer() || std::holds_alternative<std::int64_t>(data); }
  // Its value; the nearest one that 64 bits hold (for what is counted, large is large).
  std::int64_t integer() const;
  bool is_number() const { return is_integer() || real() != nullptr; }
  double number() const;  // of an int the nearest float
  template <class T>
  T* object() const {
    const auto* pointer = std::get_if<Object*>(&data);
    return pointer == nullptr ? nullptr : dynamic_cast<T*>(*pointer);
  }
  bool is_object() const { return std::holds_alternative<Object*>(data); }

 private:
  template <class Ref>
  auto dereference() const -> decltype(std::declval<Ref>().get()) {
    const auto* ref = std::get_if<Ref>(&data);
    return ref == nullptr ? nullptr : ref->get();
  }
};

struct List {
  enum class Kind { kList, kTuple, kGroup };  // kGroup: a tuple (grouper, list) of the filter groupby
  Kind kind = Kind::kList;
  std::vector<Value> items;
  int depth = 1;  // containers within each other

  bool is_tuple() const { return kind != Kind::kList; }
};

// Insertion-ordered, with Python's idea of equal keys (1 == 1.0 == True). Keys are hashable values.
class Dict {
 public:
  // The value of `key`, or null. Error if the key cannot be hashed.
  const Value* find(Machine& machine, const Value& key) const;
  const Value* find(std::string_view key) const;
  void set(Machine& machine, const Value& key, Value value);
  const std::vector<std::pair<Value, Value>>& entries() const { return entries_; }
  int depth() const { return depth_; }

 private:
  // The position of the entry with this hash_key, or the number of entries.
  size_t position_of(const std::string& hash) const;

  std::vector<std::pair<Value, Value>> entries_;
  std::vector<std::string> hashes_;                // hash_key of each key while they are few,
  std::unordered_map<std::string, size_t> index_;  // and of more
  int depth_ = 1;
};

struct Range : Object {
  std::int64_t start = 0, stop = 0, step = 1;
  std::int64_t size() const;
};

// A Python iterator: what it has handed out is gone.
struct Iterator : Object {
  ListRef source;
  size_t next = 0;
};

// dict.keys(), dict.values() or dict.items().
struct DictView : Object {
  enum class Kind { kKeys, kValues, kItems };
  Kind kind = Kind::kKeys;
  DictRef dict;
};

struct Namespace : Object {
  Dict attributes;
};

struct Joiner : Object {
  Value separator;
  bool used = false;
};

struct Cycler : Object {
  std::vector<Value> items;
  size_t position = 0;
};

Value undefined(std::string problem);

// Python's name of the type, as its error messages have it.
std::string type_name(const Value& value);

bool truth(const Value& value);
bool equal(Machine& machine, const Value& left, const Value& right);
// `left` < `right`; an error for types that Python does not order.
bool less(Machine& machine, const Value& left, const Value& right);
bool contains(Machine& machine, const Value& container, const Value& item);

// len(value), or an error.
std::int64_t length(Machine& machine, const Value& value);
// Whether iter(value) would work.
bool is_iterable(const Value& value);
// list(value): uses an iterator up. An error when the value is not iterable.
ListRef iterate(Machine& machine, const Value& value);

// str(value) and repr(value).
MarkedText to_text(Machine& machine, const Value& value);
MarkedText represent(Machine& machine, const Value& value);
std::string represent_real(double value);
std::string quote_text(std::string_view text);  // repr of a string

}  // namespace ddro::jinja
