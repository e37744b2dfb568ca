#include "jinja/value.h"

#include <algorithm>
#include <cmath>

#include "ddro/base/utf8.h"
#include "jinja/integers.h"
#include "jinja/machine.h"
#include "jinja/objects.h"
#include "jinja/unicode.h"

namespace ddro::jinja {
namespace {

constexpr size_t kFewKeys = 8;  // up to here comparing beats a hash table

// One string for each class of keys that Python finds equal. An error for what Python cannot hash.
std::string hash_key(Machine& machine, const Value& key) {
  if (const MarkedText* text = key.text()) return "s" + text->text;
  if (key.is_none()) return "n";
  if (key.is_undefined()) return "u";
  if (key.is_number()) {
    const std::string whole = whole_number_key(key);
    return whole.empty() ? "f" + represent_real(*key.real()) : "i" + whole;
  }
  if (const List* list = key.list(); list != nullptr && list->is_tuple()) {
    std::string out = "t";
    for (const Value& item : list->items) {
      const std::string part = hash_key(machine, item);
      out += std::to_string(part.size()) + ":" + part;
      machine.charge_text(out.size());
    }
    return out;
  }
  if (key.list() != nullptr || key.dict() != nullptr)
    machine.fail("unhashable type: '" + type_name(key) + "'");
  return "o" + std::to_string(reinterpret_cast<std::uintptr_t>(std::get<Object*>(key.data)));
}

bool equal_items(Machine& machine, const std::vector<Value>& left, const std::vector<Value>& right) {
  machine.charge(std::min(left.size(), right.size()));
  return left.size() == right.size() &&
         std::equal(left.begin(), left.end(), right.begin(),
                    [&](const Value& a, const Value& b) { return equal(machine, a, b); });
}

bool equal_dicts(Machine& machine, const Dict& left, const Dict& right) {
  if (left.entries().size() != right.entries().size()) return false;
  return std::all_of(left.entries().begin(), left.entries().end(), [&](const auto& entry) {
    const Value* other = right.find(machine, entry.first);
    return other != nullptr && equal(machine, entry.second, *other);
  });
}

}  // namespace

std::int64_t Value::integer() const {
  if (const bool* flag = boolean()) return *flag;
  if (big_integer()) return integer_to_real(*this) < 0 ? INT64_MIN : INT64_MAX;
  return std::get<std::int64_t>(data);
}

double Value::number() const { return real() ? *real() : integer_to_real(*this); }

size_t Dict::position_of(const std::string& hash) const {
  if (index_.empty())
    return static_cast<size_t>(std::find(hashes_.begin(), hashes_.end(), hash) - hashes_.begin());
  const auto found = index_.find(hash);
  return found == index_.end() ? entries_.size() : found->second;
}

const Value* Dict::find(std::string_view key) const {
  const size_t position = position_of("s" + std::string(key));
  return position == entries_.size() ? nullptr : &entries_[position].second;
}

const Value* Dict::find(Machine& machine, const Value& key) const {
  machine.charge(1);
  const size_t position = position_of(hash_key(machine, key));
  return position == entries_.size() ? nullptr : &entries_[position].second;
}

void Dict::set(Machine& machine, const Value& key, Value value) {
  machine.charge(4);
  depth_ = std::max({depth_, depth_of(key) + 1, depth_of(value) + 1});
  std::string hash = hash_key(machine, key);
  const size_t position = position_of(hash);
  if (position < entries_.size()) {
    entries_[position].second = std::move(value);
    return;
  }
  machine.charge_text(hash.size());
  entries_.emplace_back(key, std::move(value));
  if (position < kFewKeys) {
    hashes_.push_back(std::move(hash));
    return;
  }
  for (size_t i = 0; i < hashes_.size(); ++i) index_.emplace(std::move(hashes_[i]), i);
  hashes_.clear();
  index_.emplace(std::move(hash), position);
}

std::int64_t Range::size() const {
  if (step > 0) return stop > start ? (stop - start - 1) / step + 1 : 0;
  return stop < start ? (start - stop - 1) / -step + 1 : 0;
}

Value undefined(std::string problem) {
  return {Undefined{std::make_shared<const std::string>(std::move(problem))}};
}

std::string type_name(const Value& value) {
  struct Names {
    std::string operator()(const None&) const { return "NoneType"; }
    std::string operator()(const Undefined&) const { return "Undefined"; }
    std::string operator()(bool) const { return "bool"; }
    std::string operator()(std::int64_t) const { return "int"; }
    std::string operator()(const BigIntegerRef&) const { return "int"; }
    std::string operator()(double) const { return "float"; }
    std::string operator()(const TextRef&) const { return "str"; }
    std::string operator()(const ListRef& list) const { return list->is_tuple() ? "tuple" : "list"; }
    std::string operator()(const DictRef&) const { return "dict"; }
    std::string operator()(Object* object) const { return object_type_name(*object); }
  };
  return std::visit(Names(), value.data);
}

bool truth(const Value& value) {
  if (value.is_none() || value.is_undefined()) return false;
  if (value.is_number()) return value.is_integer() ? value.integer() != 0 : *value.real() != 0;
  if (const MarkedText* text = value.text()) return !text->text.empty();
  if (const List* list = value.list()) return !list->items.empty();
  if (const Dict* dict = value.dict()) return !dict->entries().empty();
  if (const auto* range = value.object<Range>()) return range->size() > 0;
  if (const auto* view = value.object<DictView>()) return !view->dict->entries().empty();
  return true;
}

bool equal(Machine& machine, const Value& left, const Value& right) {
  const Machine::Level level(machine);
  if (left.is_number() && right.is_number()) return compare_numbers(left, right) == 0;
  if (left.data.index() != right.data.index()) return false;
  if (left.is_none() || left.is_undefined()) return true;
  if (const MarkedText* text = left.text()) {
    machine.charge(text->text.size() / 64);
    return text->text == right.text()->text;
  }
  if (const List* list = left.list()) {
    return list->is_tuple() == right.list()->is_tuple() &&
           equal_items(machine, list->items, right.list()->items);
  }
  if (const Dict* dict = left.dict()) return equal_dicts(machine, *dict, *right.dict());
  if (left.object<Range>() && right.object<Range>()) {
    return equal_items(machine, iterate(machine, left)->items, iterate(machine, right)->items);
  }
  return std::get<Object*>(left.data) == std::get<Object*>(right.data);
}

bool less(Machine& machine, const Value& left, const Value& right) {
  const Machine::Level level(machine);
  if (left.is_number() && right.is_number()) return compare_numbers(left, right) < 0;
  if (left.text() && right.text()) {
    machine.charge(left.text()->text.size() / 64);
    return left.text()->text < right.text()->text;
  }
  if (left.list() && right.list() && left.list()->is_tuple() == right.list()->is_tuple()) {
    const auto& a = left.list()->items;
    const auto& b = right.list()->items;
    for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
      machine.charge(1);
      if (!equal(machine, a[i], b[i])) return less(machine, a[i], b[i]);
    }
    return a.size() < b.size();
  }
  for (const Value* side : {&left, &right}) {
    if (const auto* problem = std::get_if<Undefined>(&side->data)) machine.fail(*problem->problem);
  }
  machine.fail("'<' not supported between instances of '" + type_name(left) + "' and '" + type_name(right) +
               "'");
}

bool contains(Machine& machine, const Value& container, const Value& item) {
  if (const MarkedText* text = container.text()) {
    if (!item.text()) machine.fail("'in <string>' requires string as left operand, not " + type_name(item));
    machine.charge(1 + text->text.size() / 16);
    return text->text.find(item.text()->text) != std::string::npos;
  }
  if (const Dict* dict = container.dict()) return dict->find(machine, item) != nullptr;
  if (!is_iterable(container))
    machine.fail("argument of type '" + type_name(container) + "' is not iterable");
  if (auto* iterator = container.object<Iterator>()) {
    while (iterator->next < iterator->source->items.size()) {
      machine.charge(1);
      if (equal(machine, iterator->source->items[iterator->next++], item)) return true;
    }
    return false;
  }
  const ListRef items = iterate(machine, container);
  machine.charge(items->items.size() / 4);
  return std::any_of(items->items.begin(), items->items.end(),
                     [&](const Value& candidate) { return equal(machine, candidate, item); });
}

std::int64_t length(Machine& machine, const Value& value) {
  if (const MarkedText* text = value.text()) {
    machine.charge(text->text.size() / 64);
    return static_cast<std::int64_t>(count_code_points(text->text));
  }
  if (value.is_undefined()) return 0;
  if (const List* list = value.list()) return static_cast<std::int64_t>(list->items.size());
  if (const Dict* dict = value.dict()) return static_cast<std::int64_t>(dict->entries().size());
  if (const auto* range = value.object<Range>()) return range->size();
  if (const auto* view = value.object<DictView>())
    return static_cast<std::int64_t>(view->dict->entries().size());
  if (auto* loop = value.object<Loop>()) return loop->length();
  machine.fail("object of type '" + type_name(value) + "' has no len()");
}

bool is_iterable(const Value& value) {
  return value.text() || value.list() || value.dict() || value.is_undefined() || value.object<Range>() ||
         value.object<Iterator>() || value.object<DictView>();
}

ListRef iterate(Machine& machine, const Value& value) {
  if (const auto* list = std::get_if<ListRef>(&value.data)) return *list;
  std::vector<Value> items;
  if (const MarkedText* text = value.text()) {
    for (size_t offset = 0; offset < text->text.size();) {
      const size_t begin = offset;
      next_code_point(text->text, offset);
      MarkedText character = slice(*text, begin, offset);
      character.markup = false;  // str's own iterator, as in Python
      items.push_back(machine.text(std::move(character)));
    }
  } else if (const Dict* dict = value.dict()) {
    for (const auto& [key, item] : dict->entries()) items.push_back(key);
  } else if (const auto* range = value.object<Range>()) {
    machine.charge(static_cast<std::uint64_t>(range->size()));
    for (std::int64_t i = 0; i < range->size(); ++i) items.push_back({range->start + i * range->step});
  } else if (const auto* view = value.object<DictView>()) {
    for (const auto& [key, item] : view->dict->entries()) {
      items.push_back(view->kind == DictView::Kind::kKeys     ? key
                      : view->kind == DictView::Kind::kValues ? item
                                                              : machine.tuple({key, item}));
    }
  } else if (auto* iterator = value.object<Iterator>()) {
    const auto& all = iterator->source->items;
    items.assign(all.begin() + static_cast<std::ptrdiff_t>(iterator->next), all.end());
    iterator->next = all.size();
  } else if (!value.is_undefined()) {
    machine.fail("'" + type_name(value) + "' object is not iterable");
  }
  return std::get<ListRef>(machine.list(std::move(items)).data);
}

}  // namespace ddro::jinja
