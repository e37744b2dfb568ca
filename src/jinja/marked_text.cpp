#include "jinja/marked_text.h"

#include <algorithm>

#include "ddro/base/utf8.h"

namespace ddro::jinja {
namespace {

void add_mark(std::vector<Span>& marks, size_t begin, size_t end) {
  if (begin == end) return;
  if (!marks.empty() && marks.back().end == begin) {
    marks.back().end = end;
  } else {
    marks.push_back({begin, end});
  }
}

}  // namespace

MarkedText make_text(std::string text, bool marked) {
  MarkedText out;
  out.text = std::move(text);
  if (marked) add_mark(out.marks, 0, out.text.size());
  return out;
}

void append(MarkedText& out, std::string_view text, bool marked) {
  const size_t begin = out.text.size();
  out.text += text;
  if (marked) add_mark(out.marks, begin, out.text.size());
}

void append(MarkedText& out, const MarkedText& piece) { append_slice(out, piece, 0, piece.text.size()); }

void append_slice(MarkedText& out, const MarkedText& source, size_t begin, size_t end) {
  const size_t base = out.text.size();
  out.text.append(source.text, begin, end - begin);
  auto mark = std::partition_point(source.marks.begin(), source.marks.end(),
                                   [&](const Span& span) { return span.end <= begin; });
  for (; mark != source.marks.end() && mark->begin < end; ++mark) {
    add_mark(out.marks, base + std::max(mark->begin, begin) - begin, base + std::min(mark->end, end) - begin);
  }
}

MarkedText slice(const MarkedText& source, size_t begin, size_t end) {
  MarkedText out;
  append_slice(out, source, begin, end);
  out.markup = source.markup;
  return out;
}

MarkedText map_code_points(const MarkedText& source,
                           const std::function<void(char32_t, std::string& out)>& write) {
  MarkedText out;
  MarkCursor cursor(source);
  for (size_t offset = 0; offset < source.text.size();) {
    const bool marked = cursor.marked(offset);
    const size_t begin = out.text.size();
    write(next_code_point(source.text, offset), out.text);
    if (marked) add_mark(out.marks, begin, out.text.size());
  }
  out.markup = source.markup;
  return out;
}

}  // namespace ddro::jinja
