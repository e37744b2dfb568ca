// A config.json, read key by key.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <limits>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "ddro/base/json.h"

namespace ddro::models {

inline constexpr std::int64_t kMaxSize = std::int64_t{1} << 24;  // vocabulary, widths
inline constexpr std::int64_t kMaxLayers = std::int64_t{1} << 12;
inline constexpr std::int64_t kMaxHeads = std::int64_t{1} << 12;
inline constexpr std::int64_t kMaxPositions = std::numeric_limits<std::int32_t>::max();

// One object of it. A null counts as absent, as in transformers. Error(kModel) names the file and the key.
// What is asked for is remembered, so that the rest can be named in the end.
class ConfigReader {
 public:
  struct Entry {
    std::string name;  // with those of the objects around it: rope_scaling.factor
    const Json* value;
  };

  ConfigReader(const Json& object, std::string where)
      : object_(object), where_(std::move(where)), asked_(std::make_shared<std::set<std::string>>()) {}

  const Json* find(const char* key) const;
  bool has(const char* key) const;  // also when it is null
  // Keys without effect in a model of this configuration: they count as asked for.
  void ignore(std::initializer_list<const char*> keys) const;
  // What nobody asked for, here and in the objects that were entered by object().
  std::vector<Entry> unread() const;

  [[noreturn]] void fail(const std::string& key, const std::string& what) const;

  std::optional<std::int64_t> integer(const char* key, std::int64_t min, std::int64_t max) const;
  std::int64_t size(const char* key, std::int64_t otherwise) const {
    return integer(key, 1, kMaxSize).value_or(otherwise);
  }
  std::optional<double> positive(const char* key) const;
  std::optional<std::vector<double>> positives(const char* key) const;  // a list of them
  double required_positive(const char* key) const;
  bool boolean(const char* key, bool otherwise) const;
  std::optional<std::string> text(const char* key) const;
  ConfigReader object(const char* key) const;
  // Switches of which one value alone is built: others are refused.
  void expect(const char* key, const Json& value) const;

 private:
  ConfigReader(const Json& object, const ConfigReader& around, const char* key);

  const Json& object_;
  std::string where_;
  std::string prefix_;
  std::shared_ptr<std::set<std::string>>
      asked_;  // names; of an object that was entered also with a dot behind
};

std::string shown(const Json& value);

}  // namespace ddro::models
