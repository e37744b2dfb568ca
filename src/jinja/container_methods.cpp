#include <utility>

#include "jinja/methods.h"
#include "jinja/parameters.h"

namespace ddro::jinja {
namespace {

Value list_index(Machine& machine, const Value& self, Arguments& arguments) {
  const Parameters given(machine, "index", arguments, {"value"}, 1);
  const ListRef list = iterate(machine, self);
  for (size_t i = 0; i < list->items.size(); ++i) {
    machine.charge(1);
    if (equal(machine, list->items[i], given[0])) return {static_cast<std::int64_t>(i)};
  }
  machine.fail("the value is not in the list");
}

Value list_count(Machine& machine, const Value& self, Arguments& arguments) {
  const Parameters given(machine, "count", arguments, {"value"}, 1);
  std::int64_t count = 0;
  const ListRef items = iterate(machine, self);
  for (const Value& item : items->items) {
    machine.charge(1);
    count += equal(machine, item, given[0]) ? 1 : 0;
  }
  return {count};
}

Value copy(Machine& machine, const Value& self, Arguments& arguments) {
  const Parameters given(machine, "copy", arguments, {});
  return self;  // lists and dicts never change
}

template <DictView::Kind kind>
Value dict_view(Machine& machine, const Value& self, Arguments& arguments) {
  const Parameters given(machine, "the method", arguments, {});
  auto* view = machine.make<DictView>();
  view->kind = kind;
  view->dict = std::get<DictRef>(self.data);
  return {static_cast<Object*>(view)};
}

Value dict_get(Machine& machine, const Value& self, Arguments& arguments) {
  const Parameters given(machine, "get", arguments, {"key", "default"}, 1);
  const Value* found = self.dict()->find(machine, given[0]);
  return found != nullptr ? *found : given.has(1) ? given[1] : Value();
}

Value loop_cycle(Machine& machine, const Value& self, Arguments& arguments) {
  if (arguments.positional.empty()) machine.fail("no items for cycling given");
  if (!arguments.named.empty()) machine.fail("cycle takes no named arguments");
  const auto index = static_cast<size_t>(self.object<Loop>()->index0);
  return arguments.positional[index % arguments.positional.size()];
}

Value loop_changed(Machine& machine, const Value& self, Arguments& arguments) {
  if (!arguments.named.empty()) machine.fail("changed takes no named arguments");
  auto* loop = self.object<Loop>();
  Value now = machine.tuple(std::move(arguments.positional));
  const bool changed = !loop->last_changed || !equal(machine, *loop->last_changed, now);
  if (changed) loop->last_changed = std::move(now);
  return {changed};
}

Value cycler_next(Machine& machine, const Value& self, Arguments& arguments) {
  const Parameters given(machine, "next", arguments, {});
  auto* cycler = self.object<Cycler>();
  const Value& value = cycler->items[cycler->position];
  cycler->position = (cycler->position + 1) % cycler->items.size();
  return value;
}

Value cycler_reset(Machine& machine, const Value& self, Arguments& arguments) {
  const Parameters given(machine, "reset", arguments, {});
  self.object<Cycler>()->position = 0;
  return {};
}

constexpr NamedNative kListMethods[] = {{"index", list_index}, {"count", list_count}, {"copy", copy}};
constexpr NamedNative kDictMethods[] = {{"get", dict_get},
                                        {"items", dict_view<DictView::Kind::kItems>},
                                        {"keys", dict_view<DictView::Kind::kKeys>},
                                        {"values", dict_view<DictView::Kind::kValues>},
                                        {"copy", copy}};
constexpr NamedNative kLoopMethods[] = {{"cycle", loop_cycle}, {"changed", loop_changed}};
constexpr NamedNative kCyclerMethods[] = {{"next", cycler_next}, {"reset", cycler_reset}};

}  // namespace

Native find_list_method(std::string_view name) { return find_native(kListMethods, name); }
Native find_dict_method(std::string_view name) { return find_native(kDictMethods, name); }

Native find_object_method(const Object& object, std::string_view name) {
  if (dynamic_cast<const Loop*>(&object) != nullptr) return find_native(kLoopMethods, name);
  if (dynamic_cast<const Cycler*>(&object) != nullptr) return find_native(kCyclerMethods, name);
  if (dynamic_cast<const Range*>(&object) != nullptr && name != "copy") return find_list_method(name);
  return nullptr;
}

}  // namespace ddro::jinja
