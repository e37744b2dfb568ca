// One rendering: its limits, the objects it made, and where in the template it is.
#pragma once

#include <cstdint>
#include <ctime>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "jinja/value.h"

namespace ddro::jinja {

class Machine {
 public:
  // `name` must outlive the machine.
  Machine(const std::string& name, std::time_t now) : name_(name), now_(now) {}
  virtual ~Machine() = default;
  Machine(const Machine&) = delete;
  Machine& operator=(const Machine&) = delete;

  // Error(kInput) and Error(kModel) with the current line. `refuse` is for what this interpreter does not
  // have.
  [[noreturn]] void fail(const std::string& what) const;
  [[noreturn]] void refuse(const std::string& what) const;

  void charge(std::uint64_t steps);
  // Before a string of that size is made.
  void charge_text(std::uint64_t bytes);
  // Appends, within the limit for strings.
  void grow(MarkedText& out, const MarkedText& piece);

  Value text(MarkedText text);
  Value text(std::string text) { return this->text(make_text(std::move(text), false)); }
  Value list(std::vector<Value> items, List::Kind kind = List::Kind::kList);
  Value tuple(std::vector<Value> items) { return list(std::move(items), List::Kind::kTuple); }
  Value dict(Dict dict);
  Value iterator(std::vector<Value> items);
  template <class T>
  T* make() {
    charge(8);
    auto object = std::make_unique<T>();
    T* pointer = object.get();
    objects_.push_back(std::move(object));
    return pointer;
  }

  void set_line(int line) { line_ = line; }
  int line() const { return line_; }
  std::time_t now() const { return now_; }

  // Counts one level of nested evaluation for as long as it lives.
  class Level {
   public:
    explicit Level(Machine& machine);
    ~Level() { --machine_.level_; }
    Level(const Level&) = delete;
    Level& operator=(const Level&) = delete;

   private:
    Machine& machine_;
  };

 private:
  std::string where() const;

  const std::string& name_;
  std::time_t now_;
  int line_ = 1;
  int level_ = 0;
  std::uint64_t steps_ = 0;
  std::vector<std::unique_ptr<Object>> objects_;
};

int depth_of(const Value& value);

}  // namespace ddro::jinja
