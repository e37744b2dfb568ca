// Jinja source to tokens, with trim_blocks and lstrip_blocks on and the last newline dropped, as jinja2.lexer
// does it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace ddro::jinja {

enum class TokenKind {
  kData,
  kVariableBegin,
  kVariableEnd,
  kBlockBegin,
  kBlockEnd,
  kName,
  kString,
  kInteger,
  kReal,
  kOperator,
  kEnd,
};

struct Token {
  TokenKind kind = TokenKind::kEnd;
  int line = 1;
  std::string text;  // name, operator, data; of a string its value, of an integer its digits
  int base = 10;     // of an integer
  double real = 0;

  bool is_name(std::string_view name) const { return kind == TokenKind::kName && text == name; }
  bool is_operator(std::string_view name) const { return kind == TokenKind::kOperator && text == name; }
};

// Ends with one kEnd. Error(kModel) "[name:line] ..." on what cannot be read.
std::vector<Token> tokenize(std::string_view source, const std::string& name);

}  // namespace ddro::jinja
