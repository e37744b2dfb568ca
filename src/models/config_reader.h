// A config.json, read key by key.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "ddro/base/json.h"

namespace ddro::models {

inline constexpr std::int64_t kMaxSize = std::int64_t{1} << 24;  // vocabulary, widths
inline constexpr std::int64_t kMaxLayers = std::int64_t{1} << 12;
inline constexpr std::int64_t kMaxHeads = std::int64_t{1} << 12;
inline constexpr std::int64_t kMaxPositions = std::numeric_limits<std::int32_t>::max();

// One object of it. A null counts as absent, as in transformers. Error(kModel) names the file and the key.
class ConfigReader {
 public:
  ConfigReader(const Json& object, std::string where, std::string prefix = "")
      : object_(object), where_(std::move(where)), prefix_(std::move(prefix)) {}

  const Json* find(const char* key) const;
  bool has(const char* key) const { return object_.contains(key); }  // also when it is null

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

 private:
  const Json& object_;
  std::string where_;
  std::string prefix_;
};

std::string shown(const Json& value);

}  // namespace ddro::models
