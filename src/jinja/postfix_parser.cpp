// What follows an expression (attributes, subscripts, calls, filters, tests), and assignment targets.
#include <algorithm>

#include "ddro/base/error.h"
#include "jinja/expression_parser.h"
#include "jinja/integers.h"
#include "jinja/library.h"

namespace ddro::jinja {

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
    const Token number = take();
    index->constant = *read_integer(number.text, number.base);
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

ExprPtr ExpressionParser::parse_filter(ExprPtr input) {
  const int line = current().line;
  const std::string name = parse_dotted_name();
  auto arguments = current().is_operator("(") ? parse_arguments() : nullptr;
  ExprPtr node = make_call(ExprKind::kFilter, line, std::move(input), std::move(arguments));
  node->text = name;
  node->native = find_filter(name);  // null: an error where it is reached
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
  node->native = find_test(name);
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
    if ((ends_at_in && current().is_name("in")) || current().is_operator(")")) break;
    add_child(*node, parse_target_item(namespaces));
  }
  return node;
}

}  // namespace ddro::jinja
