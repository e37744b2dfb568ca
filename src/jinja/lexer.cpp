#include "jinja/lexer.h"

#include <algorithm>
#include <cctype>
#include <cstdlib>

#include "ddro/base/error.h"
#include "ddro/base/utf8.h"
#include "jinja/limits.h"
#include "jinja/string_literal.h"
#include "jinja/unicode.h"

namespace ddro::jinja {
namespace {

// Longest first.
constexpr std::string_view kOperators[] = {"//", "**", "==", "!=", ">=", "<=", "+", "-", "/",
                                           "*",  "%",  "~",  "[",  "]",  "(",  ")", "{", "}",
                                           ">",  "<",  "=",  ".",  ":",  "|",  ",", ";"};

bool is_ascii_digit(char c) { return c >= '0' && c <= '9'; }
bool is_word(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }

// Line ends as \n, without the last one.
std::string normalize(std::string_view source) {
  std::string out;
  out.reserve(source.size());
  for (size_t i = 0; i < source.size(); ++i) {
    if (source[i] == '\r' && i + 1 < source.size() && source[i + 1] == '\n') continue;
    out += source[i] == '\r' ? '\n' : source[i];
  }
  if (!out.empty() && out.back() == '\n') out.pop_back();
  return out;
}

class Lexer {
 public:
  Lexer(std::string source, const std::string& name)
      : source_(std::move(source)), text_(source_), name_(name) {}

  std::vector<Token> run() {
    while (position_ < text_.size()) root();
    push(TokenKind::kEnd, {});
    return std::move(tokens_);
  }

 private:
  [[noreturn]] void fail(const std::string& what) const {
    throw model_error("[" + name_ + ":" + std::to_string(line_) + "] " + what);
  }

  bool at(std::string_view expected, size_t offset) const {
    return offset <= text_.size() && text_.substr(offset, expected.size()) == expected;
  }
  bool at(std::string_view expected) const { return at(expected, position_); }

  void move_to(size_t position) {
    line_ += static_cast<int>(std::count(text_.begin() + static_cast<std::ptrdiff_t>(position_),
                                         text_.begin() + static_cast<std::ptrdiff_t>(position), '\n'));
    line_starting_ = position > 0 && text_[position - 1] == '\n';
    position_ = position;
  }

  size_t skip_space(size_t offset) const { return offset + strip_begin(text_.substr(offset)); }

  void push(TokenKind kind, std::string text) {
    Token token;
    token.kind = kind;
    token.line = line_;
    token.text = std::move(text);
    tokens_.push_back(std::move(token));
  }

  // The text from here to a tag at `tag` whose whitespace control is `sign`; moves there.
  void push_data(size_t tag, char sign, bool is_variable) {
    std::string_view data = text_.substr(position_, tag - position_);
    if (sign == '-') {
      data = data.substr(0, strip_end(data));
    } else if (sign != '+' && !is_variable) {
      const size_t newline = data.rfind('\n');
      const size_t line_begin = newline == std::string_view::npos ? 0 : newline + 1;
      if (line_begin > 0 || line_starting_) {
        const std::string_view rest = data.substr(line_begin);
        if (strip_begin(rest) == rest.size()) data = data.substr(0, line_begin);
      }
    }
    if (!data.empty()) push(TokenKind::kData, std::string(data));
    move_to(tag);
  }

  char sign_at(size_t offset) const {
    return offset < text_.size() && (text_[offset] == '-' || text_[offset] == '+') ? text_[offset] : ' ';
  }

  // Text up to the next tag, and the tag.
  void root() {
    size_t tag = text_.find('{', position_);
    while (tag != std::string_view::npos && !at("{%", tag) && !at("{{", tag) && !at("{#", tag)) {
      tag = text_.find('{', tag + 1);
    }
    if (tag == std::string_view::npos) {
      push(TokenKind::kData, std::string(text_.substr(position_)));
      return move_to(text_.size());
    }
    const bool is_variable = at("{{", tag);
    const char sign = sign_at(tag + 2);
    push_data(tag, sign, is_variable);
    const size_t inside = tag + (sign == ' ' ? 2 : 3);
    if (at("{#")) return comment(inside);
    if (!is_variable) {
      if (const size_t raw_end = end_of_raw_begin(inside); raw_end != 0) return raw(raw_end);
    }
    push(is_variable ? TokenKind::kVariableBegin : TokenKind::kBlockBegin, {});
    move_to(inside);
    expression(is_variable);
  }

  // End of `raw %}` or `raw -%}` at `offset`, or 0.
  size_t end_of_raw_begin(size_t offset) const {
    offset = skip_space(offset);
    if (!at("raw", offset)) return 0;
    offset = skip_space(offset + 3);
    if (at("-%}", offset)) return skip_space(offset + 3);
    return at("%}", offset) ? offset + 2 : 0;
  }

  // End of a closing tag at `offset` (with its whitespace control and the newline that trim_blocks takes), or
  // 0.
  size_t end_of_close(std::string_view close, size_t offset) const {
    if (offset >= text_.size()) return 0;
    if (text_[offset] == '+' && at(close, offset + 1)) return offset + 3;
    if (text_[offset] == '-' && at(close, offset + 1)) return skip_space(offset + 3);
    if (!at(close, offset)) return 0;
    return offset + 2 + (at("\n", offset + 2) ? 1 : 0);
  }

  void comment(size_t inside) {
    for (size_t offset = inside; (offset = text_.find('#', offset)) != std::string_view::npos; ++offset) {
      if (!at("#}", offset)) continue;
      const bool signed_close = offset > inside && (text_[offset - 1] == '-' || text_[offset - 1] == '+');
      return move_to(end_of_close("#}", signed_close ? offset - 1 : offset));
    }
    if (inside == text_.size()) return move_to(inside);
    fail("a comment is not closed with #}");
  }

  void raw(size_t inside) {
    move_to(inside);
    for (size_t tag = inside; (tag = text_.find("{%", tag)) != std::string_view::npos; ++tag) {
      const char sign = sign_at(tag + 2);
      size_t offset = skip_space(tag + (sign == ' ' ? 2 : 3));
      if (!at("endraw", offset)) continue;
      offset = skip_space(offset + 6);
      const size_t end = end_of_close("%}", offset);
      if (end == 0) continue;
      push_data(tag, sign, false);
      return move_to(end);
    }
    if (inside == text_.size()) return;
    fail("a raw block is not closed with {% endraw %}");
  }

  void expression(bool is_variable) {
    std::string open;
    while (position_ < text_.size()) {
      if (open.empty()) {
        const size_t end = is_variable ? end_of_variable() : end_of_close("%}", position_);
        if (end != 0) {
          push(is_variable ? TokenKind::kVariableEnd : TokenKind::kBlockEnd, {});
          return move_to(end);
        }
      }
      const size_t next = skip_space(position_);
      if (next != position_) {
        move_to(next);
      } else {
        one_token(open);
      }
    }
  }

  size_t end_of_variable() const {
    if (at("-}}")) return skip_space(position_ + 3);
    return at("}}") ? position_ + 2 : 0;
  }

  void one_token(std::string& open) {
    const char c = text_[position_];
    if (is_ascii_digit(c)) return number();
    if (is_word(c)) {
      size_t end = position_;
      while (end < text_.size() && is_word(text_[end])) ++end;
      push(TokenKind::kName, std::string(text_.substr(position_, end - position_)));
      return move_to(end);
    }
    if (c == '\'' || c == '"') return string(c);
    for (const std::string_view candidate : kOperators) {
      if (at(candidate)) return push_operator(candidate, open);
    }
    size_t end = position_;
    next_code_point(text_, end);
    fail("unexpected character '" + printable(std::string(text_.substr(position_, end - position_))) + "'");
  }

  void push_operator(std::string_view found, std::string& open) {
    if (found == "(" || found == "[" || found == "{") {
      open += found == "(" ? ')' : found == "[" ? ']' : '}';
      if (open.size() > kMaxNesting) {
        fail("brackets are nested deeper than " + std::to_string(kMaxNesting) + " levels");
      }
    } else if (found == ")" || found == "]" || found == "}") {
      if (open.empty() || open.back() != found[0]) fail("unexpected '" + std::string(found) + "'");
      open.pop_back();
    }
    push(TokenKind::kOperator, std::string(found));
    move_to(position_ + found.size());
  }

  void string(char quote) {
    size_t end = position_ + 1;
    while (end < text_.size() && text_[end] != quote) end += text_[end] == '\\' ? 2 : 1;
    if (end >= text_.size()) fail("a string is not closed");
    std::string value;
    std::string problem;
    if (!unescape(text_.substr(position_ + 1, end - position_ - 1), value, problem)) fail(problem);
    push(TokenKind::kString, std::move(value));
    move_to(end + 1);
  }

  // End of digits of `accept` with single underscores between them, starting at `offset`.
  template <class Accept>
  size_t end_of_digits(size_t offset, Accept accept) const {
    const size_t begin = offset;
    while (offset < text_.size() &&
           (accept(text_[offset]) || (text_[offset] == '_' && offset > begin && text_[offset - 1] != '_' &&
                                      offset + 1 < text_.size() && accept(text_[offset + 1])))) {
      ++offset;
    }
    return offset;
  }

  size_t end_of_real() const {
    if (position_ > 0 && text_[position_ - 1] == '.') return 0;
    size_t end = end_of_digits(position_, is_ascii_digit);
    bool is_real = false;
    if (at(".", end) && end + 1 < text_.size() && is_ascii_digit(text_[end + 1])) {
      end = end_of_digits(end + 1, is_ascii_digit);
      is_real = true;
    }
    if (at("e", end) || at("E", end)) {
      const size_t digits = end + 1 + (at("+", end + 1) || at("-", end + 1) ? 1 : 0);
      if (digits < text_.size() && is_ascii_digit(text_[digits])) {
        end = end_of_digits(digits, is_ascii_digit);
        is_real = true;
      }
    }
    return is_real ? end : 0;
  }

  std::string without_underscores(size_t begin, size_t end) const {
    std::string digits(text_.substr(begin, end - begin));
    std::erase(digits, '_');
    return digits;
  }

  void number() {
    if (const size_t end = end_of_real(); end != 0) {
      push(TokenKind::kReal, {});
      tokens_.back().real = std::strtod(without_underscores(position_, end).c_str(), nullptr);
      return move_to(end);
    }
    int base = 10;
    if (text_[position_] == '0' && position_ + 1 < text_.size()) {
      const int prefix = std::tolower(static_cast<unsigned char>(text_[position_ + 1]));
      base = prefix == 'x' ? 16 : prefix == 'o' ? 8 : prefix == 'b' ? 2 : 10;
    }
    const auto accept = [&](char c) {
      if (base == 16) return std::isxdigit(static_cast<unsigned char>(c)) != 0;
      if (base == 10 && text_[position_] == '0') return c == '0';
      return c >= '0' && c < '0' + base;
    };
    const size_t digits = position_ + (base == 10 ? 0 : 2);
    const size_t end = end_of_digits(digits, accept);
    if (end == digits) fail("a number has no digits");
    const std::string plain = without_underscores(digits, end);
    if (base == 10 && plain.size() > kMaxDecimalDigits) {
      fail("a number has more than " + std::to_string(kMaxDecimalDigits) + " digits");
    }
    push(TokenKind::kInteger, plain);
    tokens_.back().base = base;
    move_to(end);
  }

  std::string source_;
  std::string_view text_;
  const std::string& name_;
  size_t position_ = 0;
  int line_ = 1;
  bool line_starting_ = true;
  std::vector<Token> tokens_;
};

}  // namespace

std::vector<Token> tokenize(std::string_view source, const std::string& name) {
  return Lexer(normalize(source), name).run();
}

}  // namespace ddro::jinja
