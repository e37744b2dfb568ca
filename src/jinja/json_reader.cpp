#include "jinja/json_reader.h"

#include "ddro/base/error.h"
#include "ddro/base/utf8.h"
#include "jinja/integers.h"
#include "jinja/limits.h"

namespace ddro::jinja {
namespace {

class Reader {
 public:
  Reader(Machine& machine, const Variable& variable) : machine_(machine), variable_(variable) {}

  // `depth`: the lists and dicts around it; `key`: under which it stands in a dict.
  Value read(const Json& json, int depth, std::string_view key) const {
    if (depth >= kMaxDataDepth) {
      machine_.fail(variable_.name + " is nested deeper than " + std::to_string(kMaxDataDepth) + " levels");
    }
    machine_.charge(1);
    switch (json.type()) {
      case Json::value_t::boolean:
        return {json.get<bool>()};
      case Json::value_t::number_integer:
        return {json.get<std::int64_t>()};
      case Json::value_t::number_unsigned:
        return *read_integer(std::to_string(json.get<std::uint64_t>()));
      case Json::value_t::number_float:
        return {json.get<double>()};
      case Json::value_t::string:
        return read_text(json.get_ref<const std::string&>(), depth, key);
      case Json::value_t::array:
        return read_list(json, depth);
      case Json::value_t::object:
        return read_dict(json, depth);
      default:
        break;
    }
    const auto digits = big_integer_digits(json);
    return digits ? *read_integer(*digits) : Value();
  }

 private:
  Value read_text(const std::string& text, int depth, std::string_view key) const {
    if (find_invalid_utf8(text) != std::string_view::npos) {
      machine_.fail("\"" + printable(text, 60) + "\" is not valid UTF-8");
    }
    const bool marked = variable_.is_marked != nullptr && variable_.is_marked(depth, key, text);
    return machine_.text(make_text(text, marked));
  }

  Value read_list(const Json& json, int depth) const {
    std::vector<Value> items;
    items.reserve(json.size());
    for (const Json& item : json) items.push_back(read(item, depth + 1, {}));
    return machine_.list(std::move(items));
  }

  Value read_dict(const Json& json, int depth) const {
    Dict dict;
    for (const auto& [key, value] : json.get_ref<const Json::object_t&>())
      dict.set(machine_, read_text(key, depth + 1, key), read(value, depth + 1, key));
    return machine_.dict(std::move(dict));
  }

  Machine& machine_;
  const Variable& variable_;
};

}  // namespace

Value read_json(Machine& machine, const Variable& variable) {
  return variable.value == nullptr ? Value() : Reader(machine, variable).read(*variable.value, 0, {});
}

}  // namespace ddro::jinja
