#include "jinja/expression_parser.h"

#include <algorithm>

#include "jinja/integers.h"
#include "jinja/limits.h"

namespace ddro::jinja {

ExprPtr ExpressionParser::make(ExprKind kind, int line) const {
  auto node = std::make_unique<Expr>();
  node->kind = kind;
  node->line = line;
  return node;
}

void ExpressionParser::deepen(Expr& parent, const ExprPtr& child) const {
  if (child == nullptr) return;
  parent.depth = std::max(parent.depth, child->depth + 1);
  if (parent.depth > kMaxExpressionDepth) {
    fail(parent.line,
         "an expression is nested deeper than " + std::to_string(kMaxExpressionDepth) + " levels");
  }
}

void ExpressionParser::add_child(Expr& parent, ExprPtr child) const {
  deepen(parent, child);
  parent.children.push_back(std::move(child));
}

ExprPtr ExpressionParser::make_call(ExprKind kind, int line, ExprPtr input,
                                    std::unique_ptr<ArgumentExprs> arguments) const {
  ExprPtr node = make(kind, line, std::move(input));
  if (arguments != nullptr) {
    for (const ExprPtr& argument : arguments->positional) deepen(*node, argument);
    for (const auto& [name, argument] : arguments->named) deepen(*node, argument);
    deepen(*node, arguments->star);
    deepen(*node, arguments->star_star);
  }
  node->arguments = std::move(arguments);
  return node;
}

ExprPtr ExpressionParser::parse_conditional() {
  const Nesting nesting(*this);
  int line = current().line;
  ExprPtr value = parse_or();
  while (skip_name("if")) {
    ExprPtr condition = parse_or();
    ExprPtr alternative = skip_name("else") ? parse_conditional() : nullptr;
    value =
        make(ExprKind::kConditional, line, std::move(condition), std::move(value), std::move(alternative));
    line = current().line;
  }
  return value;
}

ExprPtr ExpressionParser::parse_or() {
  const int line = current().line;
  ExprPtr left = parse_and();
  while (skip_name("or")) left = make(ExprKind::kOr, line, std::move(left), parse_and());
  return left;
}

ExprPtr ExpressionParser::parse_and() {
  const int line = current().line;
  ExprPtr left = parse_not();
  while (skip_name("and")) left = make(ExprKind::kAnd, line, std::move(left), parse_not());
  return left;
}

ExprPtr ExpressionParser::parse_not() {
  if (!current().is_name("not")) return parse_compare();
  const Nesting nesting(*this);
  const int line = take().line;
  return make(ExprKind::kNot, line, parse_not());
}

std::optional<Operator> ExpressionParser::take_comparison() {
  static const std::pair<std::string_view, Operator> kComparisons[] = {
      {"==", Operator::kEq}, {"!=", Operator::kNe}, {"<", Operator::kLt},
      {"<=", Operator::kLe}, {">", Operator::kGt},  {">=", Operator::kGe}};
  for (const auto& [text, found] : kComparisons) {
    if (skip_operator(text)) return found;
  }
  if (skip_name("in")) return Operator::kIn;
  if (current().is_name("not") && next_token().is_name("in")) {
    take();
    take();
    return Operator::kNotIn;
  }
  return std::nullopt;
}

ExprPtr ExpressionParser::parse_compare() {
  const int line = current().line;
  ExprPtr first = parse_sum();
  ExprPtr node;
  while (const std::optional<Operator> comparison = take_comparison()) {
    if (node == nullptr) node = make(ExprKind::kCompare, line, std::move(first));
    node->operators.push_back(*comparison);
    add_child(*node, parse_sum());
  }
  return node == nullptr ? std::move(first) : std::move(node);
}

ExprPtr ExpressionParser::parse_sum() {
  const int line = current().line;
  ExprPtr left = parse_concat();
  while (current().is_operator("+") || current().is_operator("-")) {
    const Operator found = take().text == "+" ? Operator::kAdd : Operator::kSub;
    left = make(ExprKind::kBinary, line, std::move(left), parse_concat());
    left->operators = {found};
  }
  return left;
}

ExprPtr ExpressionParser::parse_concat() {
  const int line = current().line;
  ExprPtr first = parse_product();
  if (!current().is_operator("~")) return first;
  ExprPtr node = make(ExprKind::kConcat, line, std::move(first));
  while (skip_operator("~")) add_child(*node, parse_product());
  return node;
}

ExprPtr ExpressionParser::parse_product() {
  const int line = current().line;
  ExprPtr left = parse_power();
  while (current().is_operator("*") || current().is_operator("/") || current().is_operator("//") ||
         current().is_operator("%")) {
    const std::string text = take().text;
    const Operator found = text == "*"    ? Operator::kMul
                           : text == "/"  ? Operator::kDiv
                           : text == "//" ? Operator::kFloorDiv
                                          : Operator::kMod;
    left = make(ExprKind::kBinary, line, std::move(left), parse_power());
    left->operators = {found};
  }
  return left;
}

ExprPtr ExpressionParser::parse_power() {
  const int line = current().line;
  ExprPtr left = parse_unary(true);
  while (skip_operator("**")) {
    left = make(ExprKind::kBinary, line, std::move(left), parse_unary(true));
    left->operators = {Operator::kPow};
  }
  return left;
}

ExprPtr ExpressionParser::parse_unary(bool with_filters) {
  const int line = current().line;
  ExprPtr node;
  if (current().is_operator("-") || current().is_operator("+")) {
    const Nesting nesting(*this);
    const ExprKind kind = take().text == "-" ? ExprKind::kNegate : ExprKind::kPlus;
    node = make(kind, line, parse_unary(false));
  } else {
    node = parse_primary();
  }
  node = parse_postfix(std::move(node));
  return with_filters ? parse_filter_chain(std::move(node)) : std::move(node);
}

ExprPtr ExpressionParser::parse_name(const Token& token) {
  ExprPtr node = make(ExprKind::kConst, token.line);
  if (token.text == "true" || token.text == "True") {
    node->constant = {true};
  } else if (token.text == "false" || token.text == "False") {
    node->constant = {false};
  } else if (token.text != "none" && token.text != "None") {
    node->kind = ExprKind::kName;
    node->name = intern(token.text);
    node->text = token.text;
    note_load(token.text);
  }
  return node;
}

ExprPtr ExpressionParser::parse_primary() {
  if (current().is_operator("(")) return parse_parenthesis();
  if (current().is_operator("[")) return parse_list();
  if (current().is_operator("{")) return parse_dict();
  const Token token = current();
  if (token.kind == TokenKind::kName) {
    take();
    return parse_name(token);
  }
  ExprPtr node = make(ExprKind::kConst, token.line);
  if (token.kind == TokenKind::kString) {
    std::string text;
    while (current().kind == TokenKind::kString) text += take().text;
    node->constant = {std::make_shared<const MarkedText>(make_text(std::move(text), false))};
  } else if (token.kind == TokenKind::kInteger) {
    const Token number = take();
    node->constant = *read_integer(number.text, number.base);
  } else if (token.kind == TokenKind::kReal) {
    node->constant = {take().real};
  } else {
    fail_unexpected("an expression");
  }
  return node;
}

ExprPtr ExpressionParser::parse_parenthesis() {
  const int line = take().line;
  if (skip_operator(")")) return make(ExprKind::kTuple, line);
  ExprPtr node = parse_tuple();
  expect_operator(")");
  return node;
}

ExprPtr ExpressionParser::parse_tuple(bool conditionals) {
  const int line = current().line;
  const auto parse_one = [&] { return conditionals ? parse_conditional() : parse_or(); };
  ExprPtr first = parse_one();
  if (!current().is_operator(",")) return first;
  ExprPtr node = make(ExprKind::kTuple, line, std::move(first));
  while (skip_operator(",")) {
    if (current().kind == TokenKind::kVariableEnd || current().kind == TokenKind::kBlockEnd ||
        current().is_operator(")")) {
      break;
    }
    add_child(*node, parse_one());
  }
  return node;
}

ExprPtr ExpressionParser::parse_list() {
  ExprPtr node = make(ExprKind::kList, take().line);
  while (!skip_operator("]")) {
    add_child(*node, parse_expression());
    if (!current().is_operator("]")) expect_operator(",");
  }
  return node;
}

ExprPtr ExpressionParser::parse_dict() {
  ExprPtr node = make(ExprKind::kDict, take().line);
  while (!skip_operator("}")) {
    add_child(*node, parse_expression());
    expect_operator(":");
    add_child(*node, parse_expression());
    if (!current().is_operator("}")) expect_operator(",");
  }
  return node;
}

}  // namespace ddro::jinja
