// tokenizer.json as a tree of components whose every field must be known.
#pragma once

#include <initializer_list>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "ddro/base/error.h"
#include "ddro/gguf/model_files.h"
#include "ddro/text/tokenizer.h"

namespace ddro::text {

// Ids above this are refused: tables are as long as the largest id.
inline constexpr TokenId kMaxTokenId = (TokenId{1} << 24) - 1;

// Sorted objects: a vocabulary is one object with 100,000 keys and more.
using Value = nlohmann::json;

// Parses a large JSON file of a model strictly: valid UTF-8, no duplicate keys, at most 64 levels.
// Error(kModel).
Value read_large_json(const gguf::ModelFiles& files, const std::string& name);

// One JSON object and its place, for messages. All members throw Error(kModel) that names the place.
class Component {
 public:
  Component(const Value& value, std::string place);

  [[noreturn]] void refuse(const std::string& what) const;
  // Refuses fields that are not listed; `type` is always known.
  void expect_only(std::initializer_list<const char*> fields) const;

  bool has(const char* field) const;  // present and not null
  const Value& at(const char* field) const;
  std::string type() const { return text("type"); }
  std::string text(const char* field) const;
  std::string text_or(const char* field, const std::string& absent) const;
  std::string character(const char* field) const;  // one, in UTF-8
  bool flag(const char* field) const;
  bool flag_or(const char* field, bool absent) const;
  TokenId id(const char* field) const;
  size_t count(const char* field) const;
  Component child(const char* field) const;
  std::vector<Component> children(const char* field) const;
  const Value& value() const { return value_; }
  const std::string& place() const { return place_; }

 private:
  const Value& value_;
  std::string place_;
};

// A token id: a whole number in 0..kMaxTokenId. Error(kModel) beginning with `place`.
TokenId token_id(const Value& value, const std::string& place);

}  // namespace ddro::text
