// obj.name, obj[index] and obj[start:stop:step].
#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "ddro/base/error.h"
#include "jinja/library.h"
#include "jinja/methods.h"
#include "jinja/unicode.h"

namespace ddro::jinja {
namespace {

// What Python has and this interpreter does not.
constexpr std::string_view kMissing[] = {
    "as_integer_ratio", "bit_count", "bit_length",  "casefold",   "conjugate",
    "denominator",      "encode",    "expandtabs",  "format_map", "from_bytes",
    "fromhex",          "fromkeys",  "hex",         "imag",       "is_integer",
    "isidentifier",     "isnumeric", "isprintable", "istitle",    "maketrans",
    "numerator",        "real",      "swapcase",    "to_bytes",   "translate"};
constexpr std::string_view kStringOnly[] = {"casefold",     "encode",    "expandtabs",  "format_map",
                                            "isidentifier", "isnumeric", "isprintable", "istitle",
                                            "maketrans",    "swapcase",  "translate"};
// What the immutable sandbox forbids.
constexpr std::string_view kListChanges[] = {"append", "clear",  "extend",  "insert",
                                             "pop",    "remove", "reverse", "sort"};
constexpr std::string_view kDictChanges[] = {"clear", "pop", "popitem", "setdefault", "update"};

template <size_t N>
bool is_in(const std::string_view (&names)[N], std::string_view name) {
  return std::find(std::begin(names), std::end(names), name) != std::end(names);
}

std::string described_type(const Value& value) {
  if (value.is_none()) return "None";
  if (value.object<Namespace>()) return "jinja2.utils.Namespace object";
  return type_name(value) + " object";
}

Value no_attribute(const Value& object, const std::string& name) {
  return undefined("'" + described_type(object) + "' has no attribute " + printable(quote_text(name)));
}

Value bind_method(Machine& machine, const Value& self, const std::string& name, Native native) {
  auto* method = machine.make<Method>();
  method->self = self;
  method->name = name;
  method->native = native;
  return {static_cast<Object*>(method)};
}

bool changes_object(const Value& object, std::string_view name) {
  if (object.dict() != nullptr) return is_in(kDictChanges, name);
  return object.list() != nullptr && !object.list()->is_tuple() && is_in(kListChanges, name);
}

// Python's dict[x] is another name of dict, and x.y is x[y] where there is no attribute y.
bool is_alias_of_dict(const Value& object, std::string_view name) {
  const auto* function = object.object<Function>();
  return function != nullptr && function->name == "dict" && name != "fromkeys" &&
         !is_in(kDictChanges, name) && find_dict_method(name) == nullptr;
}

Value loop_attribute(Loop& loop, const std::string& name) {
  if (name == "index") return {loop.index0 + 1};
  if (name == "index0") return {loop.index0};
  if (name == "first") return {loop.index0 == 0};
  if (name == "last") return {loop.peek() == nullptr};
  if (name == "length") return {loop.length()};
  if (name == "revindex") return {loop.length() - loop.index0};
  if (name == "revindex0") return {loop.length() - loop.index0 - 1};
  if (name == "depth") return {std::int64_t{1}};
  if (name == "depth0") return {std::int64_t{0}};
  if (name == "previtem") return loop.index0 == 0 ? undefined("there is no previous item") : loop.previous;
  if (name == "nextitem") {
    const Value* next = loop.peek();
    return next == nullptr ? undefined("there is no next item") : *next;
  }
  return undefined("'LoopContext object' has no attribute " + printable(quote_text(name)));
}

// obj[index] as Python has it, or nothing where it raises TypeError or LookupError.
std::optional<Value> python_item(Machine& machine, const Value& object, const Value& index) {
  if (const Dict* dict = object.dict()) {
    if (index.list() != nullptr && !index.list()->is_tuple()) return std::nullopt;
    if (index.dict() != nullptr) return std::nullopt;
    const Value* found = dict->find(machine, index);
    return found == nullptr ? std::nullopt : std::optional<Value>(*found);
  }
  const auto* range = object.object<Range>();
  if (!index.is_integer() || !(object.text() || object.list() || range)) return std::nullopt;
  const std::int64_t size = length(machine, object);
  const std::int64_t at = index.integer() < 0 ? index.integer() + size : index.integer();
  if (at < 0 || at >= size) return std::nullopt;
  if (range != nullptr) return Value{range->start + at * range->step};
  if (const List* list = object.list()) return list->items[static_cast<size_t>(at)];
  const MarkedText& text = *object.text();
  machine.charge(text.text.size() / 16);
  const size_t begin = offset_of(text.text, static_cast<size_t>(at));
  const size_t end = begin + offset_of(std::string_view(text.text).substr(begin), 1);
  return machine.text(slice(text, begin, end));
}

std::optional<std::int64_t> slice_index(Machine& machine, const Value& value) {
  if (value.is_none()) return std::nullopt;
  if (!value.is_integer()) machine.fail("slice indices must be integers or None");
  return value.integer();
}

// The indices that [start:stop:step] takes of a sequence of `size` items: first, count.
std::pair<std::int64_t, std::int64_t> slice_bounds(std::optional<std::int64_t> start,
                                                   std::optional<std::int64_t> stop, std::int64_t step,
                                                   std::int64_t size) {
  const std::int64_t low = step < 0 ? -1 : 0;
  const std::int64_t high = step < 0 ? size - 1 : size;
  const auto clamp = [&](std::int64_t index) {
    return std::clamp(index < 0 ? index + size : index, low, high);
  };
  const std::int64_t first = start ? clamp(*start) : step < 0 ? high : low;
  const std::int64_t last = stop ? clamp(*stop) : step < 0 ? low : high;
  if (step > 0) return {first, last > first ? (last - first - 1) / step + 1 : 0};
  return {first, last < first ? (first - last - 1) / -step + 1 : 0};
}

MarkedText slice_text(Machine& machine, const MarkedText& text, std::int64_t first, std::int64_t count,
                      std::int64_t step) {
  machine.charge(1 + text.text.size() / 16);
  if (step == 1) {
    const size_t begin = offset_of(text.text, static_cast<size_t>(first));
    const std::string_view rest = std::string_view(text.text).substr(begin);
    return slice(text, begin, begin + offset_of(rest, static_cast<size_t>(count)));
  }
  std::vector<size_t> offsets;
  for (size_t offset = 0; offset < text.text.size();
       offset += offset_of(std::string_view(text.text).substr(offset), 1)) {
    offsets.push_back(offset);
  }
  offsets.push_back(text.text.size());
  machine.charge(offsets.size());
  MarkedText out;
  out.markup = text.markup;
  for (std::int64_t i = 0; i < count; ++i) {
    const auto at = static_cast<size_t>(first + i * step);
    append_slice(out, text, offsets[at], offsets[at + 1]);
  }
  return out;
}

}  // namespace

std::optional<Value> get_own_attribute(Machine& machine, const Value& object, const std::string& name) {
  if (name.starts_with("__")) machine.fail("the attribute " + printable(name, 60) + " is not allowed");
  if (changes_object(object, name)) {
    return undefined("access to attribute '" + name + "' of '" + type_name(object) + "' object is unsafe.");
  }
  Native native = nullptr;
  if (object.text()) native = find_string_method(name);
  if (object.dict()) native = find_dict_method(name);
  if (object.list() && !(object.list()->is_tuple() && name == "copy")) native = find_list_method(name);
  if (const auto* pointer = std::get_if<Object*>(&object.data)) native = find_object_method(**pointer, name);
  if (native != nullptr) return bind_method(machine, object, name, native);
  const bool missing = object.text() ? is_in(kStringOnly, name)
                       : object.dict()
                           ? name == "fromkeys"
                           : object.is_number() && is_in(kMissing, name) && !is_in(kStringOnly, name);
  if (missing) machine.refuse("the attribute " + name + " of " + type_name(object) + " is not supported");
  if (const List* list = object.list(); list != nullptr && list->kind == List::Kind::kGroup) {
    if (name == "grouper") return list->items[0];
    if (name == "list") return list->items[1];
  }
  if (auto* names = object.object<Namespace>()) {
    const Value* found = names->attributes.find(name);
    return found == nullptr ? std::nullopt : std::optional<Value>(*found);
  }
  if (auto* loop = object.object<Loop>()) return loop_attribute(*loop, name);
  if (auto* cycler = object.object<Cycler>(); cycler != nullptr && name == "current") {
    return cycler->items[cycler->position];
  }
  if (is_alias_of_dict(object, name)) return object;
  if (object.is_object() && !object.object<Iterator>()) {
    const bool known = object.object<Range>() || object.object<DictView>() || object.object<Cycler>() ||
                       object.object<Joiner>() || object.object<Method>();
    if (!known)
      machine.refuse("the attribute " + printable(name, 60) + " of a " + type_name(object) +
                     " is not supported");
  }
  return std::nullopt;
}

bool is_missing_method(std::string_view name) { return is_in(kMissing, name); }

Value get_attribute(Machine& machine, const Value& object, const std::string& name) {
  if (const auto* nothing = std::get_if<Undefined>(&object.data)) machine.fail(*nothing->problem);
  if (std::optional<Value> found = get_own_attribute(machine, object, name)) return *std::move(found);
  if (const Dict* dict = object.dict()) {
    machine.charge(1);
    if (const Value* found = dict->find(name)) return *found;
  }
  return no_attribute(object, name);
}

Value get_item(Machine& machine, const Value& object, const Value& index) {
  if (const auto* nothing = std::get_if<Undefined>(&object.data)) machine.fail(*nothing->problem);
  if (std::optional<Value> found = python_item(machine, object, index)) return *std::move(found);
  if (index.text() != nullptr) {
    const std::string& name = index.text()->text;
    std::optional<Value> found = get_own_attribute(machine, object, name);
    return found ? *std::move(found) : no_attribute(object, name);
  }
  return undefined(described_type(object) + " has no element " + printable(represent(machine, index).text));
}

Value get_slice(Machine& machine, const Value& object, const Value& start, const Value& stop,
                const Value& step) {
  if (const auto* nothing = std::get_if<Undefined>(&object.data)) machine.fail(*nothing->problem);
  const auto* range = object.object<Range>();
  if (!(object.text() || object.list() || range))
    machine.fail("'" + type_name(object) + "' object cannot be sliced");
  const std::int64_t stride = slice_index(machine, step).value_or(1);
  if (stride == 0) machine.fail("slice step cannot be zero");
  const std::int64_t limited =
      std::clamp<std::int64_t>(stride, -(std::int64_t{1} << 32), std::int64_t{1} << 32);
  const auto [first, count] =
      slice_bounds(slice_index(machine, start), slice_index(machine, stop), limited, length(machine, object));
  if (const MarkedText* text = object.text())
    return machine.text(slice_text(machine, *text, first, count, limited));
  if (range != nullptr) {
    auto* part = machine.make<Range>();
    part->start = range->start + first * range->step;
    part->step = range->step * limited;
    part->stop = part->start + count * part->step;
    return {static_cast<Object*>(part)};
  }
  const List& list = *object.list();
  machine.charge(static_cast<std::uint64_t>(count));
  std::vector<Value> items;
  for (std::int64_t i = 0; i < count; ++i)
    items.push_back(list.items[static_cast<size_t>(first + i * limited)]);
  return machine.list(std::move(items), list.is_tuple() ? List::Kind::kTuple : List::Kind::kList);
}

}  // namespace ddro::jinja
