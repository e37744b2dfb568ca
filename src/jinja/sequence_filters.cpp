// Filters on sequences, and those that take any value.
#include <algorithm>
#include <string>
#include <utility>

#include "ddro/base/error.h"
#include "jinja/filters.h"
#include "jinja/library.h"
#include "jinja/operators.h"
#include "jinja/parameters.h"
#include "jinja/text_functions.h"
#include "jinja/unicode.h"

namespace ddro::jinja {
namespace {

// What `attribute` arguments name: keys, attributes and indices with dots between them.
class AttributeGetter {
 public:
  AttributeGetter(Machine& machine, const Value* attribute, const Value* fallback = nullptr)
      : machine_(machine), fallback_(fallback) {
    if (attribute == nullptr || attribute->is_none()) return;
    if (attribute->text() == nullptr) {
      path_.push_back(*attribute);
      return;
    }
    for (const Value& part : split_at(machine, *attribute->text(), ".", -1)) {
      const std::string& name = part.text()->text;
      const bool digits =
          !name.empty() && name.size() < 10 && name.find_first_not_of("0123456789") == std::string::npos;
      path_.push_back(digits ? Value{std::int64_t{std::stoi(name)}} : part);
    }
  }

  Value operator()(Value item) const {
    for (const Value& part : path_) {
      item = get_item(machine_, item, part);
      if (fallback_ != nullptr && !fallback_->is_none() && item.is_undefined()) item = *fallback_;
    }
    return item;
  }

 private:
  Machine& machine_;
  std::vector<Value> path_;
  const Value* fallback_;
};

Value ignore_case(Machine& machine, Value value) {
  if (value.text() == nullptr) return value;
  machine.charge_text(value.text()->text.size() * 2);
  return machine.text(to_lower(*value.text()));
}

// Each item with the key it is ordered by.
using Keyed = std::vector<std::pair<Value, Value>>;

Keyed with_keys(Machine& machine, const Value& sequence, const AttributeGetter& getter, bool case_sensitive) {
  Keyed out;
  const ListRef items = iterate(machine, sequence);
  for (const Value& item : items->items) {
    machine.charge(2);
    Value key = getter(item);
    out.emplace_back(case_sensitive ? std::move(key) : ignore_case(machine, std::move(key)), item);
  }
  return out;
}

void sort_keyed(Machine& machine, Keyed& items, bool reverse) {
  std::stable_sort(items.begin(), items.end(), [&](const auto& a, const auto& b) {
    machine.charge(1);
    return reverse ? less(machine, b.first, a.first) : less(machine, a.first, b.first);
  });
}

Value values_of(Machine& machine, Keyed items) {
  std::vector<Value> out;
  for (auto& [key, item] : items) out.push_back(std::move(item));
  return machine.list(std::move(out));
}

const Value* pointer_to(const Parameters& given, size_t index) {
  return given.has(index) ? &given[index] : nullptr;
}

Value sort_filter(Machine& machine, const Value& self, Arguments& arguments) {
  const Parameters given(machine, "sort", arguments, {"reverse", "case_sensitive", "attribute"});
  std::vector<AttributeGetter> getters;
  if (given.is_set(2) && given[2].text() != nullptr) {
    for (const Value& part : split_at(machine, *given[2].text(), ",", -1))
      getters.emplace_back(machine, &part);
  } else {
    getters.emplace_back(machine, pointer_to(given, 2));
  }
  Keyed items;
  const ListRef sequence = iterate(machine, self);
  for (const Value& item : sequence->items) {
    std::vector<Value> key;
    for (const AttributeGetter& getter : getters) {
      key.push_back(given.truth_of(1) ? getter(item) : ignore_case(machine, getter(item)));
    }
    items.emplace_back(machine.list(std::move(key)), item);
  }
  sort_keyed(machine, items, given.truth_of(0));
  return values_of(machine, std::move(items));
}

Value unique_filter(Machine& machine, const Value& self, Arguments& arguments) {
  const Parameters given(machine, "unique", arguments, {"case_sensitive", "attribute"});
  const AttributeGetter getter(machine, pointer_to(given, 1));
  Dict seen;
  std::vector<Value> out;
  for (auto& [key, item] : with_keys(machine, self, getter, given.truth_of(0))) {
    if (seen.find(machine, key) != nullptr) continue;
    seen.set(machine, key, {});
    out.push_back(item);
  }
  return machine.iterator(std::move(out));
}

template <bool greatest>
Value extreme_filter(Machine& machine, const Value& self, Arguments& arguments) {
  const Parameters given(machine, "min", arguments, {"case_sensitive", "attribute"});
  const AttributeGetter getter(machine, pointer_to(given, 1));
  const Keyed items = with_keys(machine, self, getter, given.truth_of(0));
  if (items.empty()) return undefined("No aggregated item, sequence was empty.");
  const auto* best = &items.front();
  for (const auto& item : items) {
    machine.charge(1);
    const bool better =
        greatest ? less(machine, best->first, item.first) : less(machine, item.first, best->first);
    if (better) best = &item;
  }
  return best->second;
}

Value sum_filter(Machine& machine, const Value& self, Arguments& arguments) {
  const Parameters given(machine, "sum", arguments, {"attribute", "start"});
  const AttributeGetter getter(machine, pointer_to(given, 0));
  Value total = given.has(1) ? given[1] : Value{std::int64_t{0}};
  if (total.text() != nullptr) machine.fail("sum() can't sum strings");
  const ListRef items = iterate(machine, self);
  for (const Value& item : items->items) {
    total = apply_binary(machine, Operator::kAdd, std::move(total), getter(item));
  }
  return total;
}

Value dictsort_filter(Machine& machine, const Value& self, Arguments& arguments) {
  const Parameters given(machine, "dictsort", arguments, {"case_sensitive", "by", "reverse"});
  const std::string by = given.text(1, "key").text;
  if (by != "key" && by != "value") machine.fail("You can only sort by either \"key\" or \"value\"");
  if (self.dict() == nullptr) machine.fail("dictsort needs a mapping, got " + type_name(self));
  Keyed items;
  for (const auto& [key, value] : self.dict()->entries()) {
    Value order = by == "key" ? key : value;
    items.emplace_back(given.truth_of(0) ? std::move(order) : ignore_case(machine, std::move(order)),
                       machine.tuple({key, value}));
  }
  sort_keyed(machine, items, given.truth_of(2));
  return values_of(machine, std::move(items));
}

Value groupby_filter(Machine& machine, const Value& self, Arguments& arguments) {
  const Parameters given(machine, "groupby", arguments, {"attribute", "default", "case_sensitive"}, 1);
  const AttributeGetter getter(machine, &given[0], pointer_to(given, 1));
  Keyed items = with_keys(machine, self, getter, given.truth_of(2));
  sort_keyed(machine, items, false);
  std::vector<Value> groups;
  for (size_t begin = 0; begin < items.size();) {
    size_t end = begin;
    std::vector<Value> members;
    while (end < items.size() && equal(machine, items[end].first, items[begin].first)) {
      members.push_back(items[end++].second);
    }
    if (end == begin) machine.fail("groupby cannot group a key that is not equal to itself");
    Value key = getter(members[0]);
    groups.push_back(machine.list({std::move(key), machine.list(std::move(members))}, List::Kind::kGroup));
    begin = end;
  }
  return machine.list(std::move(groups));
}

Value batch_filter(Machine& machine, const Value& self, Arguments& arguments) {
  const Parameters given(machine, "batch", arguments, {"linecount", "fill_with"}, 1);
  const std::int64_t count = given.integer(0, 1);
  std::vector<Value> out;
  std::vector<Value> line;
  const ListRef items = iterate(machine, self);
  for (const Value& item : items->items) {
    if (static_cast<std::int64_t>(line.size()) == count) out.push_back(machine.list(std::exchange(line, {})));
    line.push_back(item);
  }
  if (!line.empty()) {
    while (given.is_set(1) && static_cast<std::int64_t>(line.size()) < count) {
      machine.charge(1);
      line.push_back(given[1]);
    }
    out.push_back(machine.list(std::move(line)));
  }
  return machine.iterator(std::move(out));
}

Value slice_filter(Machine& machine, const Value& self, Arguments& arguments) {
  const Parameters given(machine, "slice", arguments, {"slices", "fill_with"}, 1);
  const std::int64_t slices = given.integer(0, 1);
  if (slices == 0) machine.fail("integer division or modulo by zero");
  const ListRef items = iterate(machine, self);
  const auto size = static_cast<std::int64_t>(items->items.size());
  std::vector<Value> out;
  std::int64_t begin = 0;
  for (std::int64_t i = 0; i < slices; ++i) {
    machine.charge(1);
    const bool longer = i < size % slices;
    const std::int64_t end = begin + size / slices + (longer ? 1 : 0);
    std::vector<Value> part(items->items.begin() + begin, items->items.begin() + end);
    if (given.is_set(1) && !longer) part.push_back(given[1]);
    out.push_back(machine.list(std::move(part)));
    begin = end;
  }
  return machine.iterator(std::move(out));
}

Value length_filter(Machine& machine, const Value& self, Arguments& arguments) {
  const Parameters given(machine, "length", arguments, {});
  return {length(machine, self)};
}

Value list_filter(Machine& machine, const Value& self, Arguments& arguments) {
  const Parameters given(machine, "list", arguments, {});
  return machine.list(iterate(machine, self)->items);
}

Value first_filter(Machine& machine, const Value& self, Arguments& arguments) {
  const Parameters given(machine, "first", arguments, {});
  if (auto* iterator = self.object<Iterator>()) {
    const auto& items = iterator->source->items;
    return iterator->next < items.size() ? items[iterator->next++]
                                         : undefined("No first item, sequence was empty.");
  }
  const ListRef items = iterate(machine, self);
  return items->items.empty() ? undefined("No first item, sequence was empty.") : items->items.front();
}

Value last_filter(Machine& machine, const Value& self, Arguments& arguments) {
  const Parameters given(machine, "last", arguments, {});
  if (self.object<Iterator>()) machine.fail("'generator' object is not reversible");
  const ListRef items = iterate(machine, self);
  return items->items.empty() ? undefined("No last item, sequence was empty.") : items->items.back();
}

Value reverse_filter(Machine& machine, const Value& self, Arguments& arguments) {
  const Parameters given(machine, "reverse", arguments, {});
  if (self.text() != nullptr) return get_slice(machine, self, {}, {}, {std::int64_t{-1}});
  std::vector<Value> items = iterate(machine, self)->items;
  std::reverse(items.begin(), items.end());
  return self.object<Iterator>() ? machine.list(std::move(items)) : machine.iterator(std::move(items));
}

Value join_filter(Machine& machine, const Value& self, Arguments& arguments) {
  const Parameters given(machine, "join", arguments, {"d", "attribute"});
  const AttributeGetter getter(machine, pointer_to(given, 1));
  std::vector<MarkedText> pieces;
  const ListRef items = iterate(machine, self);
  for (const Value& item : items->items) {
    pieces.push_back(to_text(machine, getter(item)));
    machine.charge_text(pieces.back().text.size());
  }
  return machine.text(join(machine, given.text(0, ""), pieces));
}

Value items_filter(Machine& machine, const Value& self, Arguments& arguments) {
  const Parameters given(machine, "items", arguments, {});
  if (self.is_undefined()) return machine.iterator({});
  if (self.dict() == nullptr) machine.fail("Can only get item pairs from a mapping.");
  std::vector<Value> out;
  for (const auto& [key, value] : self.dict()->entries()) out.push_back(machine.tuple({key, value}));
  return machine.iterator(std::move(out));
}

Value default_filter(Machine& machine, const Value& self, Arguments& arguments) {
  const Parameters given(machine, "default", arguments, {"default_value", "boolean"});
  const bool replaced = self.is_undefined() || (given.truth_of(1) && !truth(self));
  return !replaced ? self : given.has(0) ? given[0] : machine.text(std::string());
}

Value attr_filter(Machine& machine, const Value& self, Arguments& arguments) {
  const Parameters given(machine, "attr", arguments, {"name"}, 1);
  if (given[0].text() == nullptr)
    machine.fail("attribute name must be string, not '" + type_name(given[0]) + "'");
  if (const auto* nothing = std::get_if<Undefined>(&self.data)) machine.fail(*nothing->problem);
  const std::string& name = given[0].text()->text;
  const std::optional<Value> found = get_own_attribute(machine, self, name);
  return found
             ? *found
             : undefined("'" + type_name(self) + " object' has no attribute " + printable(quote_text(name)));
}

Native named_function(Machine& machine, const Value& name, Native (*find)(std::string_view),
                      const char* kind) {
  const Native found = name.text() == nullptr ? nullptr : find(name.text()->text);
  if (found == nullptr) {
    machine.refuse(std::string("the ") + kind + " " + printable(to_text(machine, name).text, 60) +
                   " is not supported");
  }
  return found;
}

Value map_filter(Machine& machine, const Value& self, Arguments& arguments) {
  if (!truth(self)) return machine.iterator({});
  std::vector<Value> out;
  const ListRef items = iterate(machine, self);
  if (arguments.positional.empty()) {
    const Parameters given(machine, "map", arguments, {"attribute", "default"}, 1);
    const AttributeGetter getter(machine, &given[0], pointer_to(given, 1));
    for (const Value& item : items->items) out.push_back(getter(item));
  } else {
    const Native filter = named_function(machine, arguments.positional[0], find_filter, "filter");
    arguments.positional.erase(arguments.positional.begin());
    for (const Value& item : items->items) {
      machine.charge(2);
      Arguments copy = arguments;
      out.push_back(filter(machine, item, copy));
    }
  }
  return machine.iterator(std::move(out));
}

template <bool wanted, bool by_attribute>
Value select_filter(Machine& machine, const Value& self, Arguments& arguments) {
  if (!truth(self)) return machine.iterator({});
  auto& given = arguments.positional;
  if (by_attribute && given.empty()) machine.fail("Missing parameter for attribute name");
  const Value attribute = by_attribute ? given.front() : Value();
  const AttributeGetter getter(machine, by_attribute ? &attribute : nullptr);
  if (by_attribute) given.erase(given.begin());
  Native test = nullptr;
  if (!given.empty()) {
    test = named_function(machine, given.front(), find_test, "test");
    given.erase(given.begin());
  }
  std::vector<Value> out;
  const ListRef items = iterate(machine, self);
  for (const Value& item : items->items) {
    machine.charge(2);
    Arguments copy = arguments;
    const Value subject = getter(item);
    if (truth(test == nullptr ? subject : test(machine, subject, copy)) == wanted) out.push_back(item);
  }
  return machine.iterator(std::move(out));
}

constexpr NamedNative kFilters[] = {
    {"attr", attr_filter},
    {"batch", batch_filter},
    {"count", length_filter},
    {"d", default_filter},
    {"default", default_filter},
    {"dictsort", dictsort_filter},
    {"first", first_filter},
    {"groupby", groupby_filter},
    {"items", items_filter},
    {"join", join_filter},
    {"last", last_filter},
    {"length", length_filter},
    {"list", list_filter},
    {"map", map_filter},
    {"max", extreme_filter<true>},
    {"min", extreme_filter<false>},
    {"reject", select_filter<false, false>},
    {"rejectattr", select_filter<false, true>},
    {"reverse", reverse_filter},
    {"select", select_filter<true, false>},
    {"selectattr", select_filter<true, true>},
    {"slice", slice_filter},
    {"sort", sort_filter},
    {"sum", sum_filter},
    {"unique", unique_filter},
};

}  // namespace

Native find_sequence_filter(std::string_view name) { return find_native(kFilters, name); }

Native find_filter(std::string_view name) {
  const Native found = find_text_filter(name);
  return found != nullptr ? found : find_sequence_filter(name);
}

}  // namespace ddro::jinja
