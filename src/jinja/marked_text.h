// Text in which the bytes that came from marked strings are marked.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "ddro/base/span.h"

namespace ddro::jinja {

struct MarkedText {
  std::string text;
  std::vector<Span> marks;  // ascending, not empty, not touching each other
  bool markup = false;      // result of the filters `escape` and `safe` (markupsafe's Markup)

  bool any_marked() const { return !marks.empty(); }
};

// `text`, marked from end to end or not at all.
MarkedText make_text(std::string text, bool marked);

void append(MarkedText& out, std::string_view text, bool marked = false);
void append(MarkedText& out, const MarkedText& piece);
void append_slice(MarkedText& out, const MarkedText& source, size_t begin, size_t end);
MarkedText slice(const MarkedText& source, size_t begin, size_t end);

// Tells for ascending byte offsets whether they are marked.
class MarkCursor {
 public:
  explicit MarkCursor(const MarkedText& source) : marks_(source.marks) {}
  bool marked(size_t offset) {
    while (next_ < marks_.size() && marks_[next_].end <= offset) ++next_;
    return next_ < marks_.size() && marks_[next_].begin <= offset;
  }

 private:
  const std::vector<Span>& marks_;
  size_t next_ = 0;
};

// Each code point replaced by what `write` appends for it; marks follow.
MarkedText map_code_points(const MarkedText& source,
                           const std::function<void(char32_t, std::string& out)>& write);

}  // namespace ddro::jinja
