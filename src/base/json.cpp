#include "ddro/base/json.h"

#include <set>
#include <vector>

#include "ddro/base/files.h"
#include "ddro/base/utf8.h"

namespace ddro {
namespace {

// Refuses what nlohmann's parser would accept silently, before it builds the value.
class StrictHandler : public nlohmann::json_sax<Json> {
 public:
  StrictHandler(int max_depth, std::string& problem) : max_depth_(max_depth), problem_(problem) {}

  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t) override { return true; }
  bool number_unsigned(number_unsigned_t) override { return true; }
  bool number_float(number_float_t, const string_t&) override { return true; }
  bool string(string_t&) override { return true; }
  bool binary(binary_t&) override { return true; }
  bool start_object(std::size_t) override { return enter(); }
  bool end_object() override { return leave(); }
  bool start_array(std::size_t) override { return enter(); }
  bool end_array() override { return leave(); }

  bool key(string_t& name) override {
    if (keys_.back().insert(name).second) return true;
    problem_ = "the key \"" + printable(name) + "\" occurs twice in one object";
    return false;
  }

  bool parse_error(std::size_t position, const std::string& token, const nlohmann::detail::exception&) override {
    problem_ = "not valid JSON at byte " + std::to_string(position) +
               (token.empty() ? std::string() : " near \"" + printable(token, 40) + "\"");
    return false;
  }

 private:
  bool enter() {
    keys_.emplace_back();
    if (static_cast<int>(keys_.size()) <= max_depth_) return true;
    problem_ = "nested deeper than " + std::to_string(max_depth_) + " levels";
    return false;
  }
  bool leave() {
    keys_.pop_back();
    return true;
  }

  int max_depth_;
  std::string& problem_;
  std::vector<std::set<std::string>> keys_;
};

}  // namespace

Json parse_json(std::string_view text, const std::string& where, ErrorKind kind, int max_depth) {
  // nlohmann's parser takes a zero byte for the end of its input.
  const size_t zero = text.find('\0');
  if (zero != std::string_view::npos) {
    throw Error(kind, "[" + where + "] not valid JSON: a zero byte at byte " + std::to_string(zero));
  }
  const size_t invalid = find_invalid_utf8(text);
  if (invalid != std::string_view::npos) {
    throw Error(kind, "[" + where + "] not valid UTF-8 at byte " + std::to_string(invalid));
  }
  std::string problem;
  StrictHandler handler(max_depth, problem);
  if (!Json::sax_parse(text, &handler)) throw Error(kind, "[" + where + "] " + problem);
  return Json::parse(text);
}

Json read_json_file(const std::string& path, ErrorKind kind) {
  return parse_json(read_file(path, kind, std::uint64_t{1} << 30), printable(path, 400), kind);
}

}  // namespace ddro
