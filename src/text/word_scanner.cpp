#include "text/word_scanner.h"

#include "text/aligned_text.h"
#include "text/character_class.h"

#include "ddro/base/utf8.h"

namespace ddro::text {

const char* const kGpt2Pattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

namespace {

constexpr std::string_view kLlama3Pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kQwen2Pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::uint8_t kNotOther = kLetter | kNumber | kSpace;

class Scanner {
 public:
  Scanner(WordPattern pattern, std::string_view text)
      : gpt2_(pattern == WordPattern::kGpt2),
        max_digits_(gpt2_                             ? text.size()
                    : pattern == WordPattern::kLlama3 ? 3
                                                      : 1),
        table_(character_table()),
        text_(text) {}

  // End of the word that begins at `begin`.
  size_t word_end(size_t begin) const {
    if (text_[begin] == '\'') {
      const size_t length = contraction(begin + 1);
      if (length > 0) return begin + 1 + length;
    }
    size_t next = begin;
    const std::uint8_t flags = next_flags(next);
    if (flags & kLetter) return run(begin, kLetter, 0);
    if (flags & kNumber) return digits(begin);
    size_t unused = next;
    const std::uint8_t following = next < text_.size() ? next_flags(unused) : std::uint8_t{kSpace};
    const bool space = text_[begin] == ' ';
    if (gpt2_ ? space : !is_line_end(text_[begin])) {
      if (following & kLetter) return run(next, kLetter, 0);
    }
    if (gpt2_ && space && (following & kNumber)) return digits(next);
    if (!(flags & kSpace)) return others(begin);
    if (space && !(following & kNotOther)) return others(next);
    return white_space(begin);
  }

 private:
  static bool is_line_end(char byte) { return byte == '\r' || byte == '\n'; }

  // End of the characters from `begin` on that have one of the flags `any`, or none of `none`.
  size_t run(size_t begin, std::uint8_t any, std::uint8_t none) const {
    size_t end = begin;
    while (end < text_.size()) {
      size_t next = end;
      const std::uint8_t flags = next_flags(next);
      if (any ? !(flags & any) : (flags & none) != 0) break;
      end = next;
    }
    return end;
  }

  size_t digits(size_t begin) const {
    size_t end = begin;
    for (size_t n = 0; n < max_digits_ && end < text_.size(); ++n) {
      size_t next = end;
      if (!(next_flags(next) & kNumber)) break;
      end = next;
    }
    return end;
  }

  size_t others(size_t begin) const {
    size_t end = run(begin, 0, kNotOther);
    if (!gpt2_) {
      while (end < text_.size() && is_line_end(text_[end])) ++end;
    }
    return end;
  }

  // White space up to its last line end; without one, all of it at the end of the text, else all but the last
  // character.
  size_t white_space(size_t begin) const {
    const size_t end = run(begin, kSpace, 0);
    if (!gpt2_) {
      for (size_t last = end; last > begin; --last) {
        if (is_line_end(text_[last - 1])) return last;
      }
    }
    if (end == text_.size()) return end;
    size_t last = end - 1;
    while (is_utf8_continuation(text_[last])) --last;
    return last > begin ? last : end;
  }

  // Bytes of a contraction's letters at `begin`, 0 if there is none.
  size_t contraction(size_t begin) const {
    std::string_view rest = text_.substr(begin, 2);
    char lower[2] = {0, 0};
    for (size_t i = 0; i < rest.size(); ++i) {
      const bool upper = rest[i] >= 'A' && rest[i] <= 'Z';
      lower[i] = upper && !gpt2_ ? static_cast<char>(rest[i] + ('a' - 'A')) : rest[i];
    }
    const std::string_view word(lower, rest.size());
    if (word == "re" || word == "ve" || word == "ll") return 2;
    if (!gpt2_ && word == "\xC5\xBF") return 2;  // U+017F folds to s
    if (word.empty()) return 0;
    return word[0] == 's' || word[0] == 't' || word[0] == 'm' || word[0] == 'd' ? 1 : 0;
  }

  // The flags of the character at `offset`, which moves past it.
  std::uint8_t next_flags(size_t& offset) const {
    const auto lead = static_cast<unsigned char>(text_[offset]);
    if (lead >= 0x80) return table_[next_code_point(text_, offset)];
    ++offset;
    return table_[lead];
  }

  bool gpt2_;
  size_t max_digits_;
  const std::uint8_t* table_;
  std::string_view text_;
};

}  // namespace

std::optional<WordPattern> known_pattern(std::string_view regex) {
  if (regex == kGpt2Pattern) return WordPattern::kGpt2;
  if (regex == kLlama3Pattern) return WordPattern::kLlama3;
  if (regex == kQwen2Pattern) return WordPattern::kQwen2;
  return std::nullopt;
}

void scan_words(WordPattern pattern, std::string_view text, std::vector<Span>& words) {
  const Scanner scanner(pattern, text);
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = scanner.word_end(begin);
    words.push_back({begin, end});
    begin = end;
  }
}

}  // namespace ddro::text
