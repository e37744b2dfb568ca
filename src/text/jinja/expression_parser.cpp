#include "text/jinja/expression_parser.h"

#include <algorithm>

#include "ddro/base/error.h"
#include "text/jinja/library.h"
#include "text/jinja/limits.h"

namespace ddro::text::jinja {

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
    node->constant = {take().integer};
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

ExprPtr ExpressionParser::parse_postfix(ExprPtr node) {
  while (true) {
    if (current().is_operator(".")) {
      node = parse_attribute(std::move(node));
    } else if (current().is_operator("[")) {
      node = parse_subscript(std::move(node));
    } else if (current().is_operator("(")) {
      node = parse_call(std::move(node));
    } else {
      return node;
    }
  }
}

ExprPtr ExpressionParser::parse_filter_chain(ExprPtr node) {
  while (true) {
    if (current().is_operator("|")) {
      node = parse_filters(std::move(node));
    } else if (current().is_name("is")) {
      node = parse_test(std::move(node));
    } else if (current().is_operator("(")) {
      node = parse_call(std::move(node));
    } else {
      return node;
    }
  }
}

ExprPtr ExpressionParser::parse_attribute(ExprPtr object) {
  const int line = take().line;
  if (current().kind == TokenKind::kInteger) {
    ExprPtr index = make(ExprKind::kConst, line);
    index->constant = {take().integer};
    return make(ExprKind::kItem, line, std::move(object), std::move(index));
  }
  const Token name = expect_name();
  if (name.text.starts_with("__"))
    fail(name.line, "the attribute " + printable(name.text, 60) + " is not allowed");
  ExprPtr node = make(ExprKind::kAttribute, line, std::move(object));
  node->text = name.text;
  return node;
}

ExprPtr ExpressionParser::parse_subscript(ExprPtr object) {
  const int line = take().line;
  if (current().is_operator("]")) fail_unexpected("an index");
  ExprPtr first = current().is_operator(":") ? nullptr : parse_expression();
  if (first != nullptr && !current().is_operator(":")) {
    if (current().is_operator(",")) fail(line, "an index of several expressions is not supported");
    expect_operator("]");
    return make(ExprKind::kItem, line, std::move(object), std::move(first));
  }
  const auto parse_part = [&]() -> ExprPtr {
    if (!skip_operator(":") || current().is_operator(":") || current().is_operator("]")) return nullptr;
    return parse_expression();
  };
  ExprPtr stop = parse_part();
  ExprPtr step = parse_part();
  expect_operator("]");
  return make(ExprKind::kSlice, line, std::move(object), std::move(first), std::move(stop), std::move(step));
}

ExprPtr ExpressionParser::parse_call(ExprPtr callee) {
  const int line = current().line;
  if (callee->kind == ExprKind::kAttribute && is_missing_method(callee->text)) {
    fail(line, "the method " + callee->text + " is not supported");
  }
  return make_call(ExprKind::kCall, line, std::move(callee), parse_arguments());
}

void ExpressionParser::parse_argument(ArgumentExprs& arguments) {
  const int line = current().line;
  if (skip_operator("*")) {
    if (arguments.star != nullptr || arguments.star_star != nullptr) fail(line, "a call has two * arguments");
    arguments.star = parse_expression();
  } else if (skip_operator("**")) {
    if (arguments.star_star != nullptr) fail(line, "a call has two ** arguments");
    arguments.star_star = parse_expression();
  } else if (arguments.star_star != nullptr) {
    fail(line, "an argument follows a ** argument");
  } else if (current().kind == TokenKind::kName && next_token().is_operator("=")) {
    std::string name = take().text;
    take();
    const auto same = [&](const auto& argument) { return argument.first == name; };
    if (std::any_of(arguments.named.begin(), arguments.named.end(), same)) {
      fail(line, "the argument " + printable(name, 60) + " is given twice");
    }
    arguments.named.emplace_back(std::move(name), parse_expression());
  } else {
    if (arguments.star != nullptr || !arguments.named.empty()) {
      fail(line, "a positional argument follows a named one");
    }
    arguments.positional.push_back(parse_expression());
  }
}

std::unique_ptr<ArgumentExprs> ExpressionParser::parse_arguments() {
  expect_operator("(");
  auto arguments = std::make_unique<ArgumentExprs>();
  while (!skip_operator(")")) {
    parse_argument(*arguments);
    if (!current().is_operator(")")) expect_operator(",");
  }
  return arguments;
}

std::string ExpressionParser::parse_dotted_name() {
  std::string name = expect_name().text;
  while (skip_operator(".")) name += "." + expect_name().text;
  return name;
}

void ExpressionParser::check_function_name(int line, const std::string& filter,
                                           const ArgumentExprs& arguments) const {
  const bool by_attribute = filter == "selectattr" || filter == "rejectattr";
  const bool takes_test = by_attribute || filter == "select" || filter == "reject";
  if (!takes_test && filter != "map") return;
  const size_t index = by_attribute ? 1 : 0;
  if (arguments.positional.size() <= index) return;
  const MarkedText* name = arguments.positional[index]->constant.text();
  if (name == nullptr || (takes_test ? find_test(name->text) : find_filter(name->text)) != nullptr) return;
  fail(line, (takes_test ? "the test " : "the filter ") + printable(name->text, 60) + " is not supported");
}

ExprPtr ExpressionParser::parse_filter(ExprPtr input) {
  const int line = current().line;
  const std::string name = parse_dotted_name();
  const Native native = find_filter(name);
  if (native == nullptr) fail(line, "the filter " + printable(name, 60) + " is not supported");
  auto arguments = current().is_operator("(") ? parse_arguments() : nullptr;
  if (arguments != nullptr) check_function_name(line, name, *arguments);
  ExprPtr node = make_call(ExprKind::kFilter, line, std::move(input), std::move(arguments));
  node->text = name;
  node->native = native;
  return node;
}

ExprPtr ExpressionParser::parse_filters(ExprPtr input, bool inline_start) {
  if (inline_start) input = parse_filter(std::move(input));
  while (skip_operator("|")) input = parse_filter(std::move(input));
  return input;
}

ExprPtr ExpressionParser::parse_test(ExprPtr input) {
  const int line = take().line;
  const bool negated = skip_name("not");
  const std::string name = parse_dotted_name();
  const Native native = find_test(name);
  if (native == nullptr) fail(line, "the test " + printable(name, 60) + " is not supported");
  std::unique_ptr<ArgumentExprs> arguments;
  const Token& next = current();
  const bool begins_operand = next.kind == TokenKind::kName || next.kind == TokenKind::kString ||
                              next.kind == TokenKind::kInteger || next.kind == TokenKind::kReal ||
                              next.is_operator("[") || next.is_operator("{");
  if (next.is_operator("(")) {
    arguments = parse_arguments();
  } else if (begins_operand && !next.is_name("else") && !next.is_name("or") && !next.is_name("and")) {
    if (next.is_name("is")) fail(line, "tests cannot be chained with is");
    arguments = std::make_unique<ArgumentExprs>();
    arguments->positional.push_back(parse_postfix(parse_primary()));
  }
  ExprPtr node = make_call(ExprKind::kTest, line, std::move(input), std::move(arguments));
  node->text = name;
  node->native = native;
  return negated ? make(ExprKind::kNot, line, std::move(node)) : std::move(node);
}

ExprPtr ExpressionParser::parse_target_item(bool namespaces) {
  const Nesting nesting(*this);
  if (skip_operator("(")) {
    ExprPtr node = parse_target(namespaces, false);
    expect_operator(")");
    return node;
  }
  const Token name = expect_name();
  for (const std::string_view reserved : {"true", "false", "none", "True", "False", "None"}) {
    if (name.text == reserved) fail(name.line, "cannot assign to " + name.text);
  }
  ExprPtr node = make(ExprKind::kName, name.line);
  node->name = intern(name.text);
  node->text = name.text;
  if (namespaces && skip_operator(".")) {
    note_load(name.text);
    node->kind = ExprKind::kNamespaceRef;
    node->text = expect_name().text;
    if (node->text.starts_with("__")) {
      fail(name.line, "the attribute " + printable(node->text, 60) + " is not allowed");
    }
  }
  return node;
}

ExprPtr ExpressionParser::parse_target(bool namespaces, bool ends_at_in) {
  const int line = current().line;
  ExprPtr first = parse_target_item(namespaces);
  if (!current().is_operator(",")) return first;
  ExprPtr node = make(ExprKind::kTuple, line, std::move(first));
  while (skip_operator(",")) {
    if ((ends_at_in && current().is_name("in")) || current().is_operator(")") || current().is_operator("="))
      break;
    add_child(*node, parse_target_item(namespaces));
  }
  return node;
}

}  // namespace ddro::text::jinja
