#include "jinja/objects.h"

namespace ddro::jinja {

bool Loop::fetch_one() {
  std::optional<Value> next = fetch ? fetch() : std::nullopt;
  if (!next) return false;
  if (next_ == ahead_.size()) {
    ahead_.clear();
    next_ = 0;
  }
  ahead_.push_back(std::move(*next));
  return true;
}

const Value* Loop::peek() {
  if (next_ == ahead_.size() && !fetch_one()) return nullptr;
  return &ahead_[next_];
}

bool Loop::advance() {
  if (peek() == nullptr) return false;
  previous = std::move(current);
  current = std::move(ahead_[next_++]);
  ++index0;
  return true;
}

std::int64_t Loop::length() {
  while (fetch_one()) {
  }
  return index0 + 1 + static_cast<std::int64_t>(ahead_.size() - next_);
}

std::string object_type_name(const Object& object) {
  const auto is = [&](auto* type) { return dynamic_cast<decltype(type)>(&object) != nullptr; };
  if (is(static_cast<const Range*>(nullptr))) return "range";
  if (is(static_cast<const Iterator*>(nullptr))) return "generator";
  if (is(static_cast<const Namespace*>(nullptr))) return "Namespace";
  if (is(static_cast<const Loop*>(nullptr))) return "LoopContext";
  if (is(static_cast<const Macro*>(nullptr))) return "Macro";
  if (is(static_cast<const Joiner*>(nullptr))) return "Joiner";
  if (is(static_cast<const Cycler*>(nullptr))) return "Cycler";
  if (const auto* view = dynamic_cast<const DictView*>(&object)) {
    if (view->kind == DictView::Kind::kKeys) return "dict_keys";
    return view->kind == DictView::Kind::kValues ? "dict_values" : "dict_items";
  }
  return "function";
}

}  // namespace ddro::jinja
