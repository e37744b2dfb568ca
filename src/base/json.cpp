#include "ddro/base/json.h"

#include <algorithm>
#include <string_view>
#include <type_traits>
#include <unordered_set>
#include <vector>

#include "ddro/base/files.h"
#include "ddro/base/sorted_json.h"
#include "ddro/base/utf8.h"

namespace ddro {
namespace {

// A value takes up to some hundred bytes, and an object's key a microsecond.
constexpr size_t kMaxValues = size_t{1} << 20;
constexpr size_t kMaxKeys = size_t{1} << 18;  // of an object
// The largest vocabularies that are published have, with their merges, half as many.
constexpr size_t kMaxSortedValues = size_t{1} << 22;
constexpr std::uint64_t kBigInteger = 1;  // the subtype of a binary value that holds an integer's digits

// Builds the value in one pass and refuses what nlohmann's own parser would accept silently. It adds to
// objects itself: the ordered map's insertion searches all earlier keys, which is quadratic in a tokenizer's
// vocabulary, and the library's parser with a callback looks at all earlier elements as each ends.
template <typename Document>
class StrictBuilder : public nlohmann::json_sax<Document> {
 public:
  using Base = nlohmann::json_sax<Document>;
  using typename Base::binary_t;
  using typename Base::number_float_t;
  using typename Base::number_integer_t;
  using typename Base::number_unsigned_t;
  using typename Base::string_t;

  StrictBuilder(int max_depth, bool exact, Document& root, std::string& problem)
      : max_depth_(max_depth), exact_(exact), root_(root), problem_(problem) {}

  bool null() override { return put(nullptr); }
  bool boolean(bool value) override { return put(value); }
  bool number_integer(number_integer_t value) override { return put(value); }
  bool number_unsigned(number_unsigned_t value) override { return put(value); }
  bool number_float(number_float_t value, const string_t& text) override {
    const bool is_integer = text.find_first_not_of("-0123456789") == std::string::npos;
    if (!exact_ || !is_integer) return put(value);
    return put(Document::binary({text.begin(), text.end()}, kBigInteger));
  }
  bool string(string_t& value) override { return put(std::move(value)); }
  bool binary(binary_t&) override { return true; }
  bool start_object(std::size_t) override { return enter(Document::object()); }
  bool end_object() override { return leave(); }
  bool start_array(std::size_t) override { return enter(Document::array()); }
  bool end_array() override { return leave(); }

  bool key(string_t& name) override {
    if (is_known(name)) {
      problem_ = "the key \"" + printable(name) + "\" occurs twice in one object";
      return false;
    }
    if (!kSorted && open_.back().value.size() == kMaxKeys) {
      problem_ = "more than " + std::to_string(kMaxKeys) + " keys in one object";
      return false;
    }
    key_ = std::move(name);
    return true;
  }

  bool parse_error(std::size_t position, const std::string& token,
                   const nlohmann::detail::exception& error) override {
    problem_ = error.id == kOutOfRange
                   ? "the number " + printable(token, 40) + " is too large"
                   : "not valid JSON at byte " + std::to_string(position) +
                         (token.empty() ? std::string() : " near \"" + printable(token, 40) + "\"");
    return false;
  }

 private:
  static constexpr int kOutOfRange = 406;  // nlohmann's number for a number that overflows
  using Object = typename Document::object_t;
  static constexpr bool kSorted = std::is_same_v<Document, SortedJson>;
  static constexpr size_t kFewKeys = 16;  // up to here comparing beats a hash table

  struct Open {
    Document value;
    std::string key;                       // under which the value goes into its parent, if that is an object
    std::unordered_set<std::string> keys;  // of an object with many
  };

  // Whether the innermost object has this key, which it then gets.
  bool is_known(const std::string& name) {
    Open& object = open_.back();
    const auto& entries = object.value.template get_ref<const Object&>();
    if constexpr (kSorted) return entries.contains(name);
    if (entries.size() < kFewKeys) {
      return std::any_of(entries.begin(), entries.end(),
                         [&](const auto& entry) { return entry.first == name; });
    }
    if (object.keys.empty()) {
      for (const auto& [key, value] : entries) object.keys.insert(key);
    }
    return !object.keys.insert(name).second;
  }

  bool put(Document value) {
    constexpr size_t kMost = kSorted ? kMaxSortedValues : kMaxValues;
    if (++num_values_ > kMost) {
      problem_ = "more than " + std::to_string(kMost) + " values";
      return false;
    }
    if (open_.empty()) {
      root_ = std::move(value);
    } else if (Document& parent = open_.back().value; parent.is_array()) {
      parent.push_back(std::move(value));
    } else if constexpr (kSorted) {
      parent.template get_ref<Object&>().emplace(std::move(key_), std::move(value));
    } else {
      parent.template get_ref<Object&>().emplace_back(std::move(key_), std::move(value));
    }
    return true;
  }

  bool enter(Document value) {
    if (static_cast<int>(open_.size()) >= max_depth_) {
      problem_ = "nested deeper than " + std::to_string(max_depth_) + " levels";
      return false;
    }
    open_.push_back({std::move(value), std::move(key_), {}});
    return true;
  }

  bool leave() {
    Open done = std::move(open_.back());
    open_.pop_back();
    key_ = std::move(done.key);
    return put(std::move(done.value));
  }

  int max_depth_;
  bool exact_;  // integers beyond 64 bits are kept as they are written
  Document& root_;
  std::string& problem_;
  std::string key_;
  std::vector<Open> open_;
  size_t num_values_ = 0;
};

template <typename Document>
Document parse(std::string_view text, const std::string& where, ErrorKind kind, int max_depth, bool exact) {
  // nlohmann's parser takes a zero byte for the end of its input.
  const size_t zero = text.find('\0');
  if (zero != std::string_view::npos) {
    throw Error(kind, "[" + where + "] not valid JSON: a zero byte at byte " + std::to_string(zero));
  }
  const size_t invalid = find_invalid_utf8(text);
  if (invalid != std::string_view::npos) {
    throw Error(kind, "[" + where + "] not valid UTF-8 at byte " + std::to_string(invalid));
  }
  Document value;
  std::string problem;
  StrictBuilder<Document> builder(max_depth, exact, value, problem);
  if (!Document::sax_parse(text, &builder)) throw Error(kind, "[" + where + "] " + problem);
  return value;
}

}  // namespace

Json parse_json(std::string_view text, const std::string& where, ErrorKind kind, int max_depth) {
  return parse<Json>(text, where, kind, max_depth, false);
}

SortedJson parse_sorted_json(std::string_view text, const std::string& where, ErrorKind kind, int max_depth) {
  return parse<SortedJson>(text, where, kind, max_depth, false);
}

Json parse_json_exactly(std::string_view text, const std::string& where, ErrorKind kind, int max_depth) {
  return parse<Json>(text, where, kind, max_depth, true);
}

std::optional<std::string> big_integer_digits(const Json& value) {
  if (!value.is_binary() || value.get_binary().subtype() != kBigInteger) return std::nullopt;
  return std::string(value.get_binary().begin(), value.get_binary().end());
}

Json read_json_file(const std::string& path, ErrorKind kind) {
  return parse_json(read_file(path, kind, std::uint64_t{1} << 30), printable(path, 400), kind);
}

}  // namespace ddro
