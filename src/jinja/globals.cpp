// Functions that a template can call by name.
#include <cstdlib>
#include <ctime>
#include <string>

#include "ddro/base/error.h"
#include "jinja/library.h"
#include "jinja/limits.h"
#include "jinja/methods.h"
#include "jinja/parameters.h"

namespace ddro::jinja {
namespace {

Value range_function(Machine& machine, const Value&, Arguments& arguments) {
  const Parameters given(machine, "range", arguments, {"start", "stop", "step"}, 1);
  if (!arguments.named.empty()) machine.fail("range() takes no keyword arguments");
  auto* range = machine.make<Range>();
  range->start = given.has(1) ? given.integer(0, 0) : 0;
  range->stop = given.integer(given.has(1) ? 1 : 0, 0);
  range->step = given.integer(2, 1);
  constexpr std::int64_t kLimit = std::int64_t{1} << 40;
  for (const std::int64_t bound : {range->start, range->stop, range->step}) {
    if (bound > kLimit || bound < -kLimit) machine.fail("Range too big");
  }
  if (range->step == 0) machine.fail("range() arg 3 must not be zero");
  if (range->size() > kMaxRange) {
    machine.fail("Range too big. The sandbox blocks ranges larger than MAX_RANGE (" +
                 std::to_string(kMaxRange) + ").");
  }
  return {static_cast<Object*>(range)};
}

Dict make_dict(Machine& machine, const char* function, const Arguments& arguments) {
  Dict dict;
  if (arguments.positional.size() > 1) machine.fail(std::string(function) + " expects at most 1 argument");
  if (!arguments.positional.empty()) {
    const Value& source = arguments.positional[0];
    if (const auto* nothing = std::get_if<Undefined>(&source.data)) machine.fail(*nothing->problem);
    if (source.dict() != nullptr) {
      for (const auto& [key, value] : source.dict()->entries()) dict.set(machine, key, value);
    } else {
      const ListRef pairs = iterate(machine, source);
      for (const Value& pair : pairs->items) {
        const ListRef parts = iterate(machine, pair);
        if (parts->items.size() != 2) machine.fail("dictionary update sequence needs pairs");
        dict.set(machine, parts->items[0], parts->items[1]);
      }
    }
  }
  for (const auto& [name, value] : arguments.named) dict.set(machine, machine.text(name), value);
  return dict;
}

Value dict_function(Machine& machine, const Value&, Arguments& arguments) {
  return machine.dict(make_dict(machine, "dict", arguments));
}

Value namespace_function(Machine& machine, const Value&, Arguments& arguments) {
  auto* made = machine.make<Namespace>();
  made->attributes = make_dict(machine, "namespace", arguments);
  return {static_cast<Object*>(made)};
}

Value joiner_function(Machine& machine, const Value&, Arguments& arguments) {
  const Parameters given(machine, "joiner", arguments, {"sep"});
  auto* made = machine.make<Joiner>();
  made->separator = given.has(0) ? given[0] : machine.text(", ");
  return {static_cast<Object*>(made)};
}

Value cycler_function(Machine& machine, const Value&, Arguments& arguments) {
  if (!arguments.named.empty()) machine.fail("cycler takes no named arguments");
  if (arguments.positional.empty()) machine.fail("at least one item has to be provided");
  auto* made = machine.make<Cycler>();
  machine.charge(arguments.positional.size());
  made->items = arguments.positional;
  return {static_cast<Object*>(made)};
}

Value raise_exception_function(Machine& machine, const Value&, Arguments& arguments) {
  const Parameters given(machine, "raise_exception", arguments, {"message"}, 1);
  machine.fail("the template refuses the messages: " + printable(to_text(machine, given[0]).text, 2000));
}

// One directive of strftime at `offset`, just behind its %.
std::string date_part(Machine& machine, const std::string& format, size_t& offset, const std::tm& time) {
  std::string directive = "%";
  while (offset < format.size() &&
         std::string_view("-_0^#EO").find(format[offset]) != std::string_view::npos) {
    directive += format[offset++];
  }
  if (offset == format.size()) machine.refuse("strftime_now: the format ends in %");
  const char letter = format[offset++];
  directive += letter;
  if (letter == 'f' && directive.size() == 2) return "000000";
  if ((letter == 'z' || letter == 'Z') && directive.size() == 2) return "";
  if (std::string_view("aAbBcCdDeFgGhHIjklmMnpPrRStTuUVwWxXyY%").find(letter) == std::string_view::npos ||
      directive.size() > 6) {
    machine.refuse("strftime_now: " + printable(directive) + " is not supported");
  }
  char buffer[256];
  return {buffer, std::strftime(buffer, sizeof buffer, directive.c_str(), &time)};
}

Value strftime_now_function(Machine& machine, const Value&, Arguments& arguments) {
  const Parameters given(machine, "strftime_now", arguments, {"format"}, 1);
  if (given[0].text() == nullptr) machine.fail("strftime_now needs a string, got " + type_name(given[0]));
  const std::string& format = given[0].text()->text;
  const std::time_t now = machine.now();
  std::tm time{};
  if (gmtime_r(&now, &time) == nullptr) machine.fail("strftime_now: the time cannot be represented");
  std::string out;
  for (size_t offset = 0; offset < format.size();) {
    if (format[offset] != '%') {
      out += format[offset++];
      continue;
    }
    out += date_part(machine, format, ++offset, time);
    machine.charge(8);
  }
  return machine.text(make_text(std::move(out), given[0].text()->any_marked()));
}

constexpr NamedNative kGlobals[] = {
    {"cycler", cycler_function},
    {"dict", dict_function},
    {"joiner", joiner_function},
    {"namespace", namespace_function},
    {"raise_exception", raise_exception_function},
    {"range", range_function},
    {"strftime_now", strftime_now_function},
};

}  // namespace

Native find_global(std::string_view name) { return find_native(kGlobals, name); }

}  // namespace ddro::jinja
