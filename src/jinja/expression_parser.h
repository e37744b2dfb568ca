// Expressions; the grammar and its precedences are those of jinja2.parser.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "jinja/token_reader.h"

namespace ddro::jinja {

class ExpressionParser : public TokenReader {
 public:
  using TokenReader::TokenReader;

 protected:
  ExprPtr parse_expression() { return parse_conditional(); }
  // One expression, or several with commas between them as a tuple. Without `conditionals` an `if` ends it.
  ExprPtr parse_tuple(bool conditionals = true);
  // A name, several, or (in `set`) namespace attributes.
  ExprPtr parse_target(bool namespaces, bool ends_at_in);
  // `| name(...)` chains around `input`; with `inline_start` the first `|` is absent.
  ExprPtr parse_filters(ExprPtr input, bool inline_start = false);

 private:
  ExprPtr parse_conditional();
  ExprPtr parse_or();
  ExprPtr parse_and();
  ExprPtr parse_not();
  ExprPtr parse_compare();
  std::optional<Operator> take_comparison();
  ExprPtr parse_sum();
  ExprPtr parse_concat();
  ExprPtr parse_product();
  ExprPtr parse_power();
  ExprPtr parse_unary(bool with_filters);
  ExprPtr parse_primary();
  ExprPtr parse_name(const Token& token);
  ExprPtr parse_parenthesis();
  ExprPtr parse_list();
  ExprPtr parse_dict();
  ExprPtr parse_postfix(ExprPtr node);
  ExprPtr parse_filter_chain(ExprPtr node);
  ExprPtr parse_attribute(ExprPtr node);
  ExprPtr parse_subscript(ExprPtr node);
  ExprPtr parse_call(ExprPtr callee);
  ExprPtr parse_filter(ExprPtr input);
  ExprPtr parse_test(ExprPtr input);
  ExprPtr parse_target_item(bool namespaces);
  std::string parse_dotted_name();
  // A filter or test that a filter such as `map` names in a literal must be known.
  std::unique_ptr<ArgumentExprs> parse_arguments();
  void parse_argument(ArgumentExprs& arguments);

  ExprPtr make(ExprKind kind, int line) const;
  void add_child(Expr& parent, ExprPtr child) const;
  void deepen(Expr& parent, const ExprPtr& child) const;
  ExprPtr make_call(ExprKind kind, int line, ExprPtr input, std::unique_ptr<ArgumentExprs> arguments) const;
  template <class... Children>
  ExprPtr make(ExprKind kind, int line, Children... children) const {
    ExprPtr node = make(kind, line);
    (add_child(*node, std::move(children)), ...);
    return node;
  }
};

}  // namespace ddro::jinja
