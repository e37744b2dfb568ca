// Runs a program.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "jinja/machine.h"
#include "jinja/scope.h"
#include "jinja/syntax.h"

namespace ddro::jinja {

using ScopeRef = std::shared_ptr<Scope>;

class Interpreter : public Machine {
 public:
  Interpreter(const Program& program, std::time_t now) : Machine(program.name, now), program_(program) {}

  // The variables stand beside the global functions and before them.
  MarkedText run(const std::map<std::string, Value>& variables);

 private:
  enum class Flow { kNormal, kBreak, kContinue };

  // Statements
  Flow run_block(const Block& block, const ScopeRef& scope);
  Flow run_statement(const Statement& statement, const ScopeRef& scope);
  Flow run_node(const TextStatement& node, const ScopeRef& scope);
  Flow run_node(const PrintStatement& node, const ScopeRef& scope);
  Flow run_node(const ForStatement& node, const ScopeRef& scope);
  Flow run_node(const IfStatement& node, const ScopeRef& scope);
  Flow run_node(const SetStatement& node, const ScopeRef& scope);
  Flow run_node(const SetBlockStatement& node, const ScopeRef& scope);
  Flow run_node(const MacroStatement& node, const ScopeRef& scope);
  Flow run_node(const CallStatement& node, const ScopeRef& scope);
  Flow run_node(const FilterStatement& node, const ScopeRef& scope);
  Flow run_node(const WithStatement& node, const ScopeRef& scope);
  Flow run_node(const GenerationStatement& node, const ScopeRef& scope);
  Flow run_node(const BreakStatement&, const ScopeRef&) { return Flow::kBreak; }
  Flow run_node(const ContinueStatement&, const ScopeRef&) { return Flow::kContinue; }

  Loop* make_loop(const ForStatement& node, const ScopeRef& scope);
  ScopeRef inner(const ScopeRef& scope, const Block* block);
  void assign(const Expr& target, const Value& value, Scope& scope);
  void assign_tuple(const Expr& target, const Value& value, Scope& scope);
  void assign_attribute(const Expr& target, const Value& value, Scope& scope);
  // Runs `block` with its output in `text`.
  Flow capture(const Block& block, const ScopeRef& scope, MarkedText& text);
  Value apply_block_filter(const Expr* filter, const Value& input, const ScopeRef& scope);

  // Expressions
  Value evaluate(const Expr& expr, const ScopeRef& scope);
  // Likewise, without a copy of a constant; `storage` holds any other value.
  const Value& evaluate(const Expr& expr, const ScopeRef& scope, Value& storage);
  Value evaluate_optional(const ExprPtr& expr, const ScopeRef& scope);
  Value evaluate_name(const Expr& expr, const ScopeRef& scope);
  Value evaluate_sequence(const Expr& expr, const ScopeRef& scope);
  Value evaluate_dict(const Expr& expr, const ScopeRef& scope);
  Value evaluate_slice(const Expr& expr, const ScopeRef& scope);
  Value evaluate_call(const Expr& expr, const ScopeRef& scope, const Value* caller = nullptr);
  Value evaluate_native(const Expr& expr, const ScopeRef& scope);
  Value evaluate_compare(const Expr& expr, const ScopeRef& scope);
  Value evaluate_concat(const Expr& expr, const ScopeRef& scope);
  Value evaluate_conditional(const Expr& expr, const ScopeRef& scope);
  Value evaluate_other(const Expr& expr, const ScopeRef& scope);
  Arguments evaluate_arguments(const ArgumentExprs* exprs, const ScopeRef& scope);
  Value call(const Value& callee, Arguments& arguments);
  Value call_macro(const Macro& macro, Arguments& arguments);
  void bind_parameters(const Macro& macro, Arguments& arguments, const ScopeRef& scope);
  void bind_extras(const Macro& macro, Arguments& arguments, Scope& scope);
  NameId special_name(const char* name) const;

  const Program& program_;
  MarkedText output_;
  MarkedText* out_ = &output_;
  const Value* block_input_ = nullptr;
  int macro_depth_ = 0;
  NameId loop_name_ = -1;
};

}  // namespace ddro::jinja
