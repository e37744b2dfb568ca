#include "jinja/machine.h"

#include <algorithm>

#include "ddro/base/error.h"
#include "jinja/limits.h"

namespace ddro::jinja {

std::string Machine::where() const { return "[" + name_ + ":" + std::to_string(line_) + "] "; }

void Machine::fail(const std::string& what) const { throw input_error(where() + what); }

void Machine::refuse(const std::string& what) const { throw model_error(where() + what); }

void Machine::charge(std::uint64_t steps) {
  steps_ += steps;
  if (steps_ > kMaxSteps) fail("the template takes more than " + std::to_string(kMaxSteps) + " steps");
}

void Machine::charge_text(std::uint64_t bytes) {
  if (bytes > kMaxTextBytes) {
    fail("the template makes a string of more than " + std::to_string(kMaxTextBytes) + " bytes");
  }
  charge(5 + bytes / 16);
}

void Machine::grow(MarkedText& out, const MarkedText& piece) {
  const std::uint64_t bytes = out.text.size() + piece.text.size();
  if (bytes > kMaxTextBytes) charge_text(bytes);
  charge(1 + piece.text.size() / 16 + piece.marks.size());
  append(out, piece);
}

Value Machine::text(MarkedText text) {
  charge_text(text.text.size());
  charge(text.marks.size());
  return {std::make_shared<MarkedText>(std::move(text))};
}

int depth_of(const Value& value) {
  if (const List* list = value.list()) return list->depth;
  if (const Dict* dict = value.dict()) return dict->depth();
  return 0;
}

Value Machine::list(std::vector<Value> items, List::Kind kind) {
  charge(2 + items.size());
  List list;
  list.kind = kind;
  for (const Value& item : items) list.depth = std::max(list.depth, depth_of(item) + 1);
  if (list.depth > kMaxDataDepth) {
    fail("lists are nested deeper than " + std::to_string(kMaxDataDepth) + " levels");
  }
  list.items = std::move(items);
  return {std::make_shared<const List>(std::move(list))};
}

Value Machine::dict(Dict dict) {
  charge(4);
  if (dict.depth() > kMaxDataDepth) {
    fail("dicts are nested deeper than " + std::to_string(kMaxDataDepth) + " levels");
  }
  return {std::make_shared<const Dict>(std::move(dict))};
}

Value Machine::iterator(std::vector<Value> items) {
  auto* made = make<Iterator>();
  made->source = std::get<ListRef>(list(std::move(items)).data);
  return {static_cast<Object*>(made)};
}

Machine::Level::Level(Machine& machine) : machine_(machine) {
  if (machine_.level_ >= kMaxEvaluationDepth) {
    machine_.fail("evaluation is nested deeper than " + std::to_string(kMaxEvaluationDepth) + " levels");
  }
  ++machine_.level_;
}

}  // namespace ddro::jinja
