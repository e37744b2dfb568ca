// Variables. A for body, a macro, a set, filter or call block each has a scope; assignments go to the
// innermost one.
#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "jinja/machine.h"
#include "jinja/syntax.h"

namespace ddro::jinja {

class Scope {
 public:
  explicit Scope(std::shared_ptr<Scope> parent) : parent_(std::move(parent)) {}

  // The variable here or in a scope around, or null.
  const Value* find(Machine& machine, NameId name) const {
    for (const Scope* scope = this; scope != nullptr; scope = scope->parent_.get()) {
      machine.charge(scope->variables_.size() / 8);
      for (const auto& [id, value] : scope->variables_) {
        if (id == name) return &value;
      }
    }
    return nullptr;
  }

  void set(Machine& machine, NameId name, Value value) {
    machine.charge(1 + variables_.size() / 8);
    for (auto& [id, existing] : variables_) {
      if (id == name) {
        existing = std::move(value);
        return;
      }
    }
    variables_.emplace_back(name, std::move(value));
  }

 private:
  std::shared_ptr<Scope> parent_;
  std::vector<std::pair<NameId, Value>> variables_;
};

}  // namespace ddro::jinja
