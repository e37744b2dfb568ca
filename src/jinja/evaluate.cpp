// Expressions and calls.
#include <algorithm>
#include <utility>

#include "ddro/base/error.h"
#include "jinja/interpreter.h"
#include "jinja/library.h"
#include "jinja/limits.h"
#include "jinja/operators.h"

namespace ddro::jinja {

Value Interpreter::evaluate(const Expr& expr, const ScopeRef& scope) {
  charge(1);
  if (expr.kind == ExprKind::kConst) return expr.constant;
  const Level level(*this);
  switch (expr.kind) {
    case ExprKind::kName:
      return evaluate_name(expr, scope);
    case ExprKind::kTuple:
    case ExprKind::kList:
      return evaluate_sequence(expr, scope);
    case ExprKind::kDict:
      return evaluate_dict(expr, scope);
    case ExprKind::kSlice:
      return evaluate_slice(expr, scope);
    case ExprKind::kCall:
      return evaluate_call(expr, scope);
    case ExprKind::kFilter:
    case ExprKind::kTest:
      return evaluate_native(expr, scope);
    case ExprKind::kCompare:
      return evaluate_compare(expr, scope);
    case ExprKind::kConcat:
      return evaluate_concat(expr, scope);
    case ExprKind::kConditional:
      return evaluate_conditional(expr, scope);
    default:
      return evaluate_other(expr, scope);
  }
}

const Value& Interpreter::evaluate(const Expr& expr, const ScopeRef& scope, Value& storage) {
  if (expr.kind == ExprKind::kConst) {
    charge(1);
    return expr.constant;
  }
  storage = evaluate(expr, scope);
  return storage;
}

Value Interpreter::evaluate_other(const Expr& expr, const ScopeRef& scope) {
  Value first = evaluate(*expr.children[0], scope);
  if (expr.kind == ExprKind::kAnd) return truth(first) ? evaluate(*expr.children[1], scope) : first;
  if (expr.kind == ExprKind::kOr) return truth(first) ? first : evaluate(*expr.children[1], scope);
  if (expr.kind == ExprKind::kNot) return {!truth(first)};
  if (expr.kind == ExprKind::kItem || expr.kind == ExprKind::kBinary) {
    Value storage;
    const Value& second = evaluate(*expr.children[1], scope, storage);
    set_line(expr.line);
    if (expr.kind == ExprKind::kItem) return get_item(*this, first, second);
    return apply_binary(*this, expr.operators[0], std::move(first), second);
  }
  set_line(expr.line);
  if (expr.kind == ExprKind::kAttribute) return get_attribute(*this, first, expr.text);
  return expr.kind == ExprKind::kNegate ? negate(*this, first) : plus(*this, first);
}

Value Interpreter::evaluate_optional(const ExprPtr& expr, const ScopeRef& scope) {
  return expr == nullptr ? Value() : evaluate(*expr, scope);
}

Value Interpreter::evaluate_name(const Expr& expr, const ScopeRef& scope) {
  const Value* found = scope->find(*this, expr.name);
  return found != nullptr ? *found : undefined("'" + expr.text + "' is undefined");
}

Value Interpreter::evaluate_sequence(const Expr& expr, const ScopeRef& scope) {
  std::vector<Value> items;
  for (const ExprPtr& child : expr.children) items.push_back(evaluate(*child, scope));
  return expr.kind == ExprKind::kTuple ? tuple(std::move(items)) : list(std::move(items));
}

Value Interpreter::evaluate_dict(const Expr& expr, const ScopeRef& scope) {
  Dict made;
  for (size_t i = 0; i < expr.children.size(); i += 2) {
    const Value key = evaluate(*expr.children[i], scope);
    made.set(*this, key, evaluate(*expr.children[i + 1], scope));
  }
  return dict(std::move(made));
}

Value Interpreter::evaluate_slice(const Expr& expr, const ScopeRef& scope) {
  const Value object = evaluate(*expr.children[0], scope);
  const Value start = evaluate_optional(expr.children[1], scope);
  const Value stop = evaluate_optional(expr.children[2], scope);
  const Value step = evaluate_optional(expr.children[3], scope);
  set_line(expr.line);
  return get_slice(*this, object, start, stop, step);
}

Value Interpreter::evaluate_native(const Expr& expr, const ScopeRef& scope) {
  const Value input = expr.children[0] == nullptr ? *block_input_ : evaluate(*expr.children[0], scope);
  Arguments arguments = evaluate_arguments(expr.arguments.get(), scope);
  set_line(expr.line);
  if (expr.native == nullptr) {
    refuse((expr.kind == ExprKind::kFilter ? "the filter " : "the test ") + printable(expr.text, 60) +
           " is not supported");
  }
  return expr.native(*this, input, arguments);
}

Value Interpreter::evaluate_compare(const Expr& expr, const ScopeRef& scope) {
  Value left = evaluate(*expr.children[0], scope);
  for (size_t i = 0; i < expr.operators.size(); ++i) {
    Value right = evaluate(*expr.children[i + 1], scope);
    set_line(expr.line);
    if (!compare(*this, expr.operators[i], left, right)) return {false};
    left = std::move(right);
  }
  return {true};
}

Value Interpreter::evaluate_concat(const Expr& expr, const ScopeRef& scope) {
  MarkedText out;
  for (const ExprPtr& child : expr.children) grow(out, to_text(*this, evaluate(*child, scope)));
  return text(std::move(out));
}

Value Interpreter::evaluate_conditional(const Expr& expr, const ScopeRef& scope) {
  if (truth(evaluate(*expr.children[0], scope))) return evaluate(*expr.children[1], scope);
  if (expr.children[2] != nullptr) return evaluate(*expr.children[2], scope);
  return undefined("the inline if-expression on line " + std::to_string(expr.line) +
                   " evaluated to false and no else section was defined.");
}

Arguments Interpreter::evaluate_arguments(const ArgumentExprs* exprs, const ScopeRef& scope) {
  Arguments arguments;
  if (exprs == nullptr) return arguments;
  for (const ExprPtr& expr : exprs->positional) arguments.positional.push_back(evaluate(*expr, scope));
  if (exprs->star != nullptr) {
    const ListRef more = iterate(*this, evaluate(*exprs->star, scope));
    charge(more->items.size());
    arguments.positional.insert(arguments.positional.end(), more->items.begin(), more->items.end());
  }
  for (const auto& [name, expr] : exprs->named) arguments.named.emplace_back(name, evaluate(*expr, scope));
  if (exprs->star_star != nullptr) {
    const Value more = evaluate(*exprs->star_star, scope);
    if (more.dict() == nullptr) fail("argument after ** must be a mapping, not " + type_name(more));
    for (const auto& [key, value] : more.dict()->entries()) {
      if (key.text() == nullptr) fail("keywords must be strings");
      const std::string& name = key.text()->text;
      const auto same = [&](const auto& named) { return named.first == name; };
      charge(1 + arguments.named.size());
      if (std::any_of(arguments.named.begin(), arguments.named.end(), same)) {
        fail("got multiple values for a keyword argument");
      }
      arguments.named.emplace_back(name, value);
    }
  }
  return arguments;
}

Value Interpreter::evaluate_call(const Expr& expr, const ScopeRef& scope, const Value* caller) {
  const Expr& function = *expr.children[0];
  const Value callee = evaluate(function, scope);
  Arguments arguments = evaluate_arguments(expr.arguments.get(), scope);
  set_line(expr.line);
  if (callee.is_undefined() && function.kind == ExprKind::kName) {
    refuse("the function " + function.text + " is not known");
  }
  if (caller != nullptr) {
    if (callee.object<Macro>() == nullptr) refuse("a call block needs a macro");
    arguments.named.emplace_back("caller", *caller);
  }
  return call(callee, arguments);
}

Value Interpreter::call(const Value& callee, Arguments& arguments) {
  if (const auto* nothing = std::get_if<Undefined>(&callee.data)) fail(*nothing->problem);
  if (const auto* macro = callee.object<Macro>()) return call_macro(*macro, arguments);
  if (const auto* function = callee.object<Function>()) return function->native(*this, {}, arguments);
  if (const auto* method = callee.object<Method>()) return method->native(*this, method->self, arguments);
  if (auto* joiner = callee.object<Joiner>()) {
    if (!arguments.positional.empty() || !arguments.named.empty()) fail("a joiner takes no arguments");
    return std::exchange(joiner->used, true) ? joiner->separator : text(std::string());
  }
  if (callee.object<Loop>()) fail("The loop must have the 'recursive' marker to be called recursively.");
  fail("'" + type_name(callee) + "' object is not callable");
}

void Interpreter::bind_parameters(const Macro& macro, Arguments& arguments, const ScopeRef& scope) {
  const MacroDefinition& definition = *macro.definition;
  const size_t count = definition.parameters.size();
  std::vector<bool> given(count, false);
  for (size_t i = 0; i < count; ++i) {
    const auto& [id, name] = definition.parameters[i];
    const auto named = std::find_if(arguments.named.begin(), arguments.named.end(),
                                    [&name = name](const auto& argument) { return argument.first == name; });
    given[i] = true;
    if (i < arguments.positional.size()) {
      scope->set(*this, id, arguments.positional[i]);
    } else if (named != arguments.named.end()) {
      scope->set(*this, id, named->second);
      arguments.named.erase(named);
    } else {
      given[i] = false;
      scope->set(*this, id, undefined("'" + name + "' is undefined"));
    }
  }
  const size_t required = count - definition.defaults.size();
  for (size_t i = 0; i < count; ++i) {
    if (given[i]) continue;
    const auto& [id, name] = definition.parameters[i];
    Value value = i >= required ? evaluate(*definition.defaults[i - required], scope)
                                : undefined("parameter '" + name + "' was not provided");
    scope->set(*this, id, std::move(value));
  }
}

// The special variables caller, kwargs and varargs.
void Interpreter::bind_extras(const Macro& macro, Arguments& arguments, Scope& scope) {
  const MacroDefinition& definition = *macro.definition;
  if (definition.takes_caller) {
    const auto caller = std::find_if(arguments.named.begin(), arguments.named.end(),
                                     [](const auto& argument) { return argument.first == "caller"; });
    scope.set(*this, special_name("caller"),
              caller == arguments.named.end() ? undefined("No caller defined") : caller->second);
    if (caller != arguments.named.end()) arguments.named.erase(caller);
  }
  if (definition.takes_kwargs) {
    Dict rest;
    for (const auto& [name, value] : arguments.named) rest.set(*this, text(name), value);
    scope.set(*this, special_name("kwargs"), dict(std::move(rest)));
  } else if (!arguments.named.empty()) {
    fail("macro '" + definition.name + "' takes no keyword argument '" + arguments.named[0].first + "'");
  }
  const size_t count = definition.parameters.size();
  std::vector<Value> rest;
  for (size_t i = count; i < arguments.positional.size(); ++i) rest.push_back(arguments.positional[i]);
  if (definition.takes_varargs) {
    scope.set(*this, special_name("varargs"), tuple(std::move(rest)));
  } else if (!rest.empty()) {
    fail("macro '" + definition.name + "' takes not more than " + std::to_string(count) + " argument(s)");
  }
}

Value Interpreter::call_macro(const Macro& macro, Arguments& arguments) {
  if (macro_depth_ >= kMaxMacroDepth) {
    fail("macros are nested deeper than " + std::to_string(kMaxMacroDepth) + " levels");
  }
  ++macro_depth_;
  charge(8);
  const ScopeRef scope = inner(macro.scope, &macro.definition->body);
  // Named arguments that are not parameters come after; the parameters take theirs first.
  bind_parameters(macro, arguments, scope);
  bind_extras(macro, arguments, *scope);
  MarkedText captured;
  capture(macro.definition->body, scope, captured);
  --macro_depth_;
  return text(std::move(captured));
}

}  // namespace ddro::jinja
