#include "models/config_reader.h"

#include <algorithm>
#include <cmath>

#include "ddro/base/error.h"

namespace ddro::models {

std::string shown(const Json& value) { return printable(value.dump(), 60); }

ConfigReader::ConfigReader(const Json& object, const ConfigReader& around, const char* key)
    : object_(object), where_(around.where_), prefix_(around.prefix_ + key + "."), asked_(around.asked_) {
  asked_->insert(prefix_);
}

const Json* ConfigReader::find(const char* key) const {
  ignore({key});
  const auto found = object_.find(key);
  return found == object_.end() || found->is_null() ? nullptr : &*found;
}

bool ConfigReader::has(const char* key) const {
  ignore({key});
  return object_.contains(key);
}

void ConfigReader::ignore(std::initializer_list<const char*> keys) const {
  for (const char* key : keys) asked_->insert(prefix_ + key);
}

std::vector<ConfigReader::Entry> ConfigReader::unread() const {
  std::vector<Entry> entries;
  for (const auto& [key, value] : object_.items()) {
    if (asked_->contains(prefix_ + key + ".")) {
      const std::vector<Entry> inside = ConfigReader(value, *this, key.c_str()).unread();
      entries.insert(entries.end(), inside.begin(), inside.end());
    } else if (!asked_->contains(prefix_ + key)) {
      entries.push_back({prefix_ + key, &value});
    }
  }
  return entries;
}

void ConfigReader::fail(const std::string& key, const std::string& what) const {
  throw model_error("[" + where_ + "] " + prefix_ + key + " " + what);
}

std::optional<std::int64_t> ConfigReader::integer(const char* key, std::int64_t min, std::int64_t max) const {
  const Json* value = find(key);
  if (!value) return std::nullopt;
  const bool fits =
      value->is_number_integer() &&
      (!value->is_number_unsigned() || value->get<std::uint64_t>() <= static_cast<std::uint64_t>(max));
  if (!fits || value->get<std::int64_t>() < min || value->get<std::int64_t>() > max) {
    fail(key, "is out of range; got " + shown(*value) + ", expected an integer from " + std::to_string(min) +
                  " to " + std::to_string(max));
  }
  return value->get<std::int64_t>();
}

std::optional<double> ConfigReader::positive(const char* key) const {
  const Json* value = find(key);
  if (!value) return std::nullopt;
  if (!value->is_number() || !std::isfinite(value->get<double>()) || value->get<double>() <= 0) {
    fail(key, "is out of range; got " + shown(*value) + ", expected a number above 0");
  }
  return value->get<double>();
}

std::optional<std::vector<double>> ConfigReader::positives(const char* key) const {
  const Json* list = find(key);
  if (!list) return std::nullopt;
  const bool fits =
      list->is_array() && std::all_of(list->begin(), list->end(), [](const Json& value) {
        return value.is_number() && std::isfinite(value.get<double>()) && value.get<double>() > 0;
      });
  if (!fits) fail(key, "is not a list of numbers above 0; got " + shown(*list));
  return list->get<std::vector<double>>();
}

double ConfigReader::required_positive(const char* key) const {
  const auto value = positive(key);
  if (!value) fail(key, "is missing");
  return *value;
}

bool ConfigReader::boolean(const char* key, bool otherwise) const {
  const Json* value = find(key);
  if (!value) return otherwise;
  if (!value->is_boolean()) fail(key, "is not a boolean; got " + shown(*value));
  return value->get<bool>();
}

std::optional<std::string> ConfigReader::text(const char* key) const {
  const Json* value = find(key);
  if (!value) return std::nullopt;
  if (!value->is_string()) fail(key, "is not a string; got " + shown(*value));
  return value->get<std::string>();
}

ConfigReader ConfigReader::object(const char* key) const {
  const Json* value = find(key);
  if (!value || !value->is_object())
    fail(key, "is not an object; got " + (value ? shown(*value) : "nothing"));
  return {*value, *this, key};
}

void ConfigReader::expect(const char* key, const Json& value) const {
  const Json* given = find(key);
  if (given && *given != value)
    fail(key, "is not supported; got " + shown(*given) + ", expected " + value.dump());
}

}  // namespace ddro::models
