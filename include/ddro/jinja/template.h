// Jinja templates, rendered as jinja2 does it in transformers' environment, in bounded time and memory.
#pragma once

#include <ctime>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "ddro/base/json.h"
#include "ddro/base/span.h"

namespace ddro::jinja {

inline constexpr std::size_t kMaxSourceBytes = std::size_t{1} << 20;

// Whether a string of a variable is marked. `depth`: the lists and dicts around it; `key`: its key where it
// stands in a dict, else empty. A dict's keys are strings of it, too, with themselves as key.
using MarkRule = bool (*)(int depth, std::string_view key, std::string_view text);

// A name that a template is rendered with; one that is not given is undefined.
struct Variable {
  std::string name;
  const Json* value = nullptr;   // outlives the rendering; null: none
  MarkRule is_marked = nullptr;  // null: no string is
};

struct RenderedText {
  std::string text;
  // Bytes that came from marked strings. Marks survive slicing, trimming, concatenation and the string
  // functions; text whose origin cannot be told apart counts as marked. Ascending, not empty, not touching.
  std::vector<Span> marks;
};

// A compiled template. Immutable; render may be called from several threads.
class Template {
 public:
  // `name` stands in messages. Error(kModel) "[name:line] ..." on a syntax error, a statement that is not
  // known, and a filter, test or method that is not known and that no condition guards; also for a source
  // that is not UTF-8 or longer than kMaxSourceBytes.
  Template(std::string_view source, std::string name);
  ~Template();
  Template(Template&&) noexcept;

  // trim_blocks and lstrip_blocks are on. `now` is what strftime_now formats (UTC). The variables are checked
  // whether the template uses them or not. Error(kInput) for raise_exception (its text), a run-time error, a
  // variable that is not UTF-8 or too deep, or a passed limit (output 4 MB, steps, depth); Error(kModel)
  // where the template reaches a filter, test, function, method or attribute that is not known.
  RenderedText render(const std::vector<Variable>& variables, std::time_t now) const;

  const std::string& source() const;
  const std::string& name() const;
  bool mentions(std::string_view name) const;  // as a variable or function

 private:
  struct Compiled;
  std::unique_ptr<Compiled> compiled_;
};

}  // namespace ddro::jinja
