#include "text/aligned_text.h"

#include "ddro/base/error.h"
#include "ddro/base/utf8.h"

namespace ddro::text {

AlignedText::Origin AlignedText::origin_at(size_t index) const {
  if (changed_) return origins_[index];
  size_t begin = index;
  while (begin > 0 && is_utf8_continuation(source_[begin])) --begin;
  const size_t end = begin + utf8_length(source_[begin]);
  return {static_cast<std::uint32_t>(base_ + begin), static_cast<std::uint32_t>(base_ + end)};
}

Span AlignedText::origin(Span range) const {
  return {origin_at(range.begin).begin, origin_at(range.end - 1).end};
}

AlignedText AlignedText::slice(Span range) const {
  const std::string_view part = text().substr(range.begin, range.end - range.begin);
  const bool continues = continues_ && range.begin == 0;
  if (!changed_) return {part, base_ + range.begin, continues};
  AlignedText result;
  result.continues_ = continues;
  result.base_ = part.empty() ? base_ : origins_[range.begin].begin;
  result.changed_ = true;
  result.text_ = part;
  result.origins_.assign(origins_.begin() + static_cast<std::ptrdiff_t>(range.begin),
                         origins_.begin() + static_cast<std::ptrdiff_t>(range.end));
  return result;
}

Rewriter::Rewriter(const AlignedText& from) : from_(from) {
  to_.base_ = from.base_;
  to_.continues_ = from.continues_;
  to_.changed_ = true;
  to_.text_.reserve(from.text().size() + 16);
  to_.origins_.reserve(from.text().size() + 16);
}

void Rewriter::append(std::string_view text, AlignedText::Origin origin) {
  to_.text_ += text;
  to_.origins_.insert(to_.origins_.end(), text.size(), origin);
}

void Rewriter::keep(size_t bytes) {
  to_.text_ += from_.text().substr(position_, bytes);
  for (size_t i = 0; i < bytes; ++i) to_.origins_.push_back(from_.origin_at(position_ + i));
  position_ += bytes;
}

void Rewriter::replace(size_t bytes, std::string_view with) {
  const auto first = from_.origin_at(position_);
  position_ += bytes;
  append(with, {first.begin, from_.origin_at(position_ - 1).end});
}

void Rewriter::insert(std::string_view text) {
  const auto start = static_cast<std::uint32_t>(from_.base_);
  append(text, position_ == 0 ? AlignedText::Origin{start, start} : from_.origin_at(position_ - 1));
}

AlignedText Rewriter::finish() {
  keep(from_.text().size() - position_);
  return std::move(to_);
}

void prepend(std::string_view prefix, AlignedText& text) {
  const std::string_view old = text.text();
  if (old.empty() || text.continues()) return;
  const size_t first = utf8_length(old[0]);
  Rewriter rewriter(text);
  rewriter.replace(first, std::string(prefix).append(old.substr(0, first)));
  text = rewriter.finish();
}

std::string valid_utf8(std::string_view bytes) {
  std::string result;
  while (true) {
    const size_t invalid = find_invalid_utf8(bytes);
    if (invalid == std::string_view::npos) return result.append(bytes);
    result.append(bytes.substr(0, invalid)).append("\xEF\xBF\xBD");
    bytes.remove_prefix(invalid);
    // The longest prefix that some continuation would make valid is one mistake.
    size_t length = 1;
    while (length < bytes.size() && length < 3 && is_utf8_continuation(bytes[length])) {
      std::string completed(bytes.substr(0, length + 1));
      completed.resize(utf8_length(bytes[0]), '\x80');
      if (completed.size() <= length + 1 || find_invalid_utf8(completed) != std::string::npos) break;
      ++length;
    }
    bytes.remove_prefix(length);
  }
}

}  // namespace ddro::text
