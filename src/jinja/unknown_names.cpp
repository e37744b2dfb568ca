#include "jinja/unknown_names.h"

#include "ddro/base/error.h"
#include "jinja/library.h"

namespace ddro::jinja {
namespace {

class Checker {
 public:
  explicit Checker(const std::string& name) : name_(name) {}

  // `guarded`: under an `if` of the same scope, where names may be unknown.
  void check(const Block& block, bool guarded) const {
    for (const auto& statement : block.statements)
      std::visit([&](const auto& node) { check_node(node, guarded); }, statement->node);
  }

 private:
  void check(const ExprPtr& expr, bool guarded) const {
    if (expr == nullptr) return;
    const bool inside = guarded || expr->kind == ExprKind::kConditional;
    if (!inside) check_name(*expr);
    for (const ExprPtr& child : expr->children) check(child, inside);
    if (expr->arguments == nullptr) return;
    for (const ExprPtr& argument : expr->arguments->positional) check(argument, inside);
    for (const auto& [name, argument] : expr->arguments->named) check(argument, inside);
    check(expr->arguments->star, inside);
    check(expr->arguments->star_star, inside);
  }

  void check_name(const Expr& expr) const {
    if (expr.kind == ExprKind::kFilter) {
      if (expr.native == nullptr) refuse(expr.line, "the filter " + printable(expr.text, 60));
      if (expr.arguments != nullptr) check_function(expr);
    } else if (expr.kind == ExprKind::kTest && expr.native == nullptr) {
      refuse(expr.line, "the test " + printable(expr.text, 60));
    } else if (expr.kind == ExprKind::kCall) {
      const Expr& callee = *expr.children[0];
      if (callee.kind == ExprKind::kAttribute && is_missing_method(callee.text))
        refuse(expr.line, "the method " + callee.text);
    }
  }

  // A filter or test that another one is to apply.
  void check_function(const Expr& expr) const {
    const bool by_attribute = expr.text == "selectattr" || expr.text == "rejectattr";
    const bool takes_test = by_attribute || expr.text == "select" || expr.text == "reject";
    const size_t index = by_attribute ? 1 : 0;
    if ((!takes_test && expr.text != "map") || expr.arguments->positional.size() <= index) return;
    const MarkedText* name = expr.arguments->positional[index]->constant.text();
    if (name == nullptr || (takes_test ? find_test(name->text) : find_filter(name->text)) != nullptr) return;
    refuse(expr.line, (takes_test ? "the test " : "the filter ") + printable(name->text, 60));
  }

  [[noreturn]] void refuse(int line, const std::string& what) const {
    throw model_error("[" + name_ + ":" + std::to_string(line) + "] " + what + " is not supported");
  }

  void check_node(const TextStatement&, bool) const {}
  void check_node(const BreakStatement&, bool) const {}
  void check_node(const ContinueStatement&, bool) const {}
  void check_node(const PrintStatement& node, bool guarded) const {
    for (const ExprPtr& value : node.values) check(value, guarded);
  }
  void check_node(const ForStatement& node, bool guarded) const {
    check(node.iterable, guarded);
    check(node.condition, false);
    check(node.body, false);
    check(node.otherwise, false);
  }
  void check_node(const IfStatement& node, bool) const {
    for (const auto& [condition, body] : node.branches) {
      check(condition, true);
      check(body, true);
    }
    check(node.otherwise, true);
  }
  void check_node(const SetStatement& node, bool guarded) const { check(node.value, guarded); }
  void check_node(const SetBlockStatement& node, bool) const {
    check(node.filter, false);
    check(node.body, false);
  }
  void check_node(const MacroStatement& node, bool) const { check_macro(node.macro); }
  void check_node(const CallStatement& node, bool guarded) const {
    check(node.call, guarded);
    check_macro(node.caller);
  }
  void check_node(const FilterStatement& node, bool) const {
    check(node.filter, false);
    check(node.body, false);
  }
  void check_node(const WithStatement& node, bool guarded) const {
    for (const auto& [target, value] : node.bindings) check(value, guarded);
    check(node.body, false);
  }
  void check_node(const GenerationStatement& node, bool) const { check(node.body, false); }
  void check_macro(const MacroDefinition& macro) const {
    for (const ExprPtr& value : macro.defaults) check(value, false);
    check(macro.body, false);
  }

  const std::string& name_;
};

}  // namespace

void refuse_unknown_names(const Program& program) { Checker(program.name).check(program.body, false); }

}  // namespace ddro::jinja
