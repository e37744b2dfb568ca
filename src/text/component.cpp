#include "text/component.h"

#include <algorithm>
#include <cstring>

#include "ddro/base/sorted_json.h"
#include "text/aligned_text.h"

namespace ddro::text {

Value read_large_json(const gguf::ModelFiles& files, const std::string& name) {
  constexpr std::uint64_t kMaxBytes = std::uint64_t{64} << 20;  // published ones have half of that at most
  return parse_sorted_json(files.read(name, kMaxBytes), files.place(name), ErrorKind::kModel);
}

Component::Component(const Value& value, std::string place) : value_(value), place_(std::move(place)) {
  if (!value_.is_object()) refuse(std::string("got ") + value_.type_name() + ", expected an object");
}

void Component::refuse(const std::string& what) const { throw model_error("[" + place_ + "] " + what); }

void Component::expect_only(std::initializer_list<const char*> fields) const {
  for (const auto& [key, unused] : value_.items()) {
    const auto is_known = std::find(fields.begin(), fields.end(), key) != fields.end();
    if (key != "type" && !is_known) {
      refuse("unknown field \"" + printable(key) + "\"");
    }
  }
}

bool Component::has(const char* field) const {
  const auto found = value_.find(field);
  return found != value_.end() && !found->is_null();
}

const Value& Component::at(const char* field) const {
  const auto found = value_.find(field);
  if (found == value_.end()) refuse(std::string("field \"") + field + "\" is missing");
  return *found;
}

std::string Component::text(const char* field) const {
  const Value& value = at(field);
  if (!value.is_string()) {
    refuse(std::string("field \"") + field + "\": got " + value.type_name() + ", expected a string");
  }
  return value.get<std::string>();
}

std::string Component::text_or(const char* field, const std::string& absent) const {
  return has(field) ? text(field) : absent;
}

std::string Component::character(const char* field) const {
  const std::string value = text(field);
  if (value.empty() || utf8_length(value[0]) != value.size())
    refuse(std::string(field) + ": got \"" + printable(value) + "\", expected one character");
  return value;
}

bool Component::flag(const char* field) const {
  const Value& value = at(field);
  if (!value.is_boolean()) {
    refuse(std::string("field \"") + field + "\": got " + value.type_name() + ", expected true or false");
  }
  return value.get<bool>();
}

bool Component::flag_or(const char* field, bool absent) const { return has(field) ? flag(field) : absent; }

TokenId Component::id(const char* field) const { return token_id(at(field), place_ + ": " + field); }

size_t Component::count(const char* field) const {
  const Value& value = at(field);
  if (!value.is_number_unsigned() || value.get<std::uint64_t>() > (1u << 30)) {
    refuse(std::string("field \"") + field + "\": got " + printable(value.dump(), 40) + ", expected a count");
  }
  return value.get<size_t>();
}

Component Component::child(const char* field) const { return {at(field), place_ + "." + field}; }

std::vector<Component> Component::children(const char* field) const {
  const Value& list = at(field);
  if (!list.is_array()) {
    refuse(std::string("field \"") + field + "\": got " + list.type_name() + ", expected a list");
  }
  std::vector<Component> result;
  for (size_t i = 0; i < list.size(); ++i) {
    result.emplace_back(list[i], place_ + "." + field + "[" + std::to_string(i) + "]");
  }
  return result;
}

TokenId token_id(const Value& value, const std::string& place) {
  if (!value.is_number_unsigned() || value.get<std::uint64_t>() > static_cast<std::uint64_t>(kMaxTokenId)) {
    throw model_error("[" + place + "] token id: got " + printable(value.dump(), 40) +
                      ", expected a whole number from 0 to " + std::to_string(kMaxTokenId));
  }
  return value.get<TokenId>();
}

}  // namespace ddro::text
