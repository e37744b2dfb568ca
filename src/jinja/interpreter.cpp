// Statements.
#include "jinja/interpreter.h"

#include <algorithm>
#include <utility>

#include "jinja/library.h"

namespace ddro::jinja {

MarkedText Interpreter::run(const std::map<std::string, Value>& variables) {
  auto context = std::make_shared<Scope>(nullptr);
  for (size_t i = 0; i < program_.names.size(); ++i) {
    const std::string& name = program_.names[i];
    const auto id = static_cast<NameId>(i);
    if (const auto variable = variables.find(name); variable != variables.end()) {
      context->set(*this, id, variable->second);
    } else if (const Native native = find_global(name)) {
      auto* function = make<Function>();
      function->name = name;
      function->native = native;
      context->set(*this, id, {static_cast<Object*>(function)});
    }
  }
  loop_name_ = special_name("loop");
  run_block(program_.body, inner(context, &program_.body));
  return std::move(output_);
}

NameId Interpreter::special_name(const char* name) const {
  const auto found = std::find(program_.names.begin(), program_.names.end(), name);
  return found == program_.names.end() ? -1 : static_cast<NameId>(found - program_.names.begin());
}

ScopeRef Interpreter::inner(const ScopeRef& scope, const Block* block) {
  charge(4);
  auto made = std::make_shared<Scope>(scope);
  if (block == nullptr) return made;
  for (const NameId name : block->unset) {
    made->set(*this, name, undefined("'" + program_.names[static_cast<size_t>(name)] + "' is undefined"));
  }
  return made;
}

Interpreter::Flow Interpreter::run_block(const Block& block, const ScopeRef& scope) {
  const Level level(*this);
  for (const auto& statement : block.statements) {
    const Flow flow = run_statement(*statement, scope);
    if (flow != Flow::kNormal) return flow;
  }
  return Flow::kNormal;
}

Interpreter::Flow Interpreter::run_statement(const Statement& statement, const ScopeRef& scope) {
  charge(1);
  set_line(statement.line);
  return std::visit([&](const auto& node) { return run_node(node, scope); }, statement.node);
}

Interpreter::Flow Interpreter::run_node(const TextStatement& node, const ScopeRef&) {
  grow(*out_, node.text);
  return Flow::kNormal;
}

Interpreter::Flow Interpreter::run_node(const PrintStatement& node, const ScopeRef& scope) {
  for (const ExprPtr& expr : node.values) {
    Value storage;
    const Value& value = evaluate(*expr, scope, storage);
    if (const MarkedText* text = value.text()) {
      grow(*out_, *text);
    } else {
      grow(*out_, to_text(*this, value));
    }
  }
  return Flow::kNormal;
}

Loop* Interpreter::make_loop(const ForStatement& node, const ScopeRef& scope) {
  const ListRef items = iterate(*this, evaluate(*node.iterable, scope));
  charge(16);
  auto* loop = make<Loop>();
  loop->fetch = [this, &node, scope, items, next = size_t{0}]() mutable -> std::optional<Value> {
    while (next < items->items.size()) {
      charge(1);
      const Value& item = items->items[next++];
      if (node.condition == nullptr) return item;
      const ScopeRef test_scope = inner(scope, nullptr);
      assign(*node.target, item, *test_scope);
      if (truth(evaluate(*node.condition, test_scope))) return item;
    }
    return std::nullopt;
  };
  return loop;
}

Interpreter::Flow Interpreter::run_node(const ForStatement& node, const ScopeRef& scope) {
  Loop* loop = make_loop(node, scope);
  bool completed = false;  // as in jinja2, an iteration left by break or continue does not count
  while (loop->advance()) {
    const ScopeRef body_scope = inner(scope, &node.body);
    if (loop_name_ >= 0) body_scope->set(*this, loop_name_, {static_cast<Object*>(loop)});
    assign(*node.target, loop->current, *body_scope);
    const Flow flow = run_block(node.body, body_scope);
    if (flow == Flow::kBreak) break;
    completed = completed || flow == Flow::kNormal;
  }
  loop->fetch = nullptr;
  if (completed || node.otherwise.statements.empty()) return Flow::kNormal;
  return run_block(node.otherwise, inner(scope, &node.otherwise));
}

Interpreter::Flow Interpreter::run_node(const IfStatement& node, const ScopeRef& scope) {
  for (const auto& [condition, body] : node.branches) {
    if (truth(evaluate(*condition, scope))) return run_block(body, scope);
  }
  return run_block(node.otherwise, scope);
}

void Interpreter::assign(const Expr& target, const Value& value, Scope& scope) {
  if (target.kind == ExprKind::kName) {
    scope.set(*this, target.name, value);
  } else if (target.kind == ExprKind::kNamespaceRef) {
    assign_attribute(target, value, scope);
  } else {
    assign_tuple(target, value, scope);
  }
}

void Interpreter::assign_attribute(const Expr& target, const Value& value, Scope& scope) {
  const Value* found = scope.find(*this, target.name);
  auto* names = found == nullptr ? nullptr : found->object<Namespace>();
  if (names == nullptr) fail("cannot assign attribute on non-namespace object");
  names->attributes.set(*this, text(target.text), value);
}

void Interpreter::assign_tuple(const Expr& target, const Value& value, Scope& scope) {
  const ListRef items = iterate(*this, value);
  if (items->items.size() != target.children.size()) {
    fail("cannot unpack " + std::to_string(items->items.size()) + " values into " +
         std::to_string(target.children.size()));
  }
  for (size_t i = 0; i < items->items.size(); ++i) assign(*target.children[i], items->items[i], scope);
}

Interpreter::Flow Interpreter::run_node(const SetStatement& node, const ScopeRef& scope) {
  assign(*node.target, evaluate(*node.value, scope), *scope);
  return Flow::kNormal;
}

Interpreter::Flow Interpreter::capture(const Block& block, const ScopeRef& scope, MarkedText& captured) {
  MarkedText* const outside = std::exchange(out_, &captured);
  const Flow flow = run_block(block, scope);
  out_ = outside;
  return flow;
}

Value Interpreter::apply_block_filter(const Expr* filter, const Value& input, const ScopeRef& scope) {
  if (filter == nullptr) return input;
  const Value* const outside = std::exchange(block_input_, &input);
  Value result = evaluate(*filter, scope);
  block_input_ = outside;
  return result;
}

Interpreter::Flow Interpreter::run_node(const SetBlockStatement& node, const ScopeRef& scope) {
  const ScopeRef block_scope = inner(scope, &node.body);
  MarkedText captured;
  const Flow flow = capture(node.body, block_scope, captured);
  if (flow != Flow::kNormal) return flow;
  const Value body = text(std::move(captured));
  assign(*node.target, apply_block_filter(node.filter.get(), body, block_scope), *scope);
  return Flow::kNormal;
}

Interpreter::Flow Interpreter::run_node(const FilterStatement& node, const ScopeRef& scope) {
  const ScopeRef block_scope = inner(scope, &node.body);
  MarkedText captured;
  const Flow flow = capture(node.body, block_scope, captured);
  if (flow != Flow::kNormal) return flow;
  const Value body = text(std::move(captured));
  grow(*out_, to_text(*this, apply_block_filter(node.filter.get(), body, block_scope)));
  return Flow::kNormal;
}

Interpreter::Flow Interpreter::run_node(const MacroStatement& node, const ScopeRef& scope) {
  auto* macro = make<Macro>();
  macro->definition = &node.macro;
  macro->scope = scope;
  scope->set(*this, node.name, {static_cast<Object*>(macro)});
  return Flow::kNormal;
}

Interpreter::Flow Interpreter::run_node(const CallStatement& node, const ScopeRef& scope) {
  auto* macro = make<Macro>();
  macro->definition = &node.caller;
  macro->scope = scope;
  const Value caller{static_cast<Object*>(macro)};
  grow(*out_, to_text(*this, evaluate_call(*node.call, scope, &caller)));
  return Flow::kNormal;
}

Interpreter::Flow Interpreter::run_node(const WithStatement& node, const ScopeRef& scope) {
  const ScopeRef body_scope = inner(scope, &node.body);
  for (const auto& [target, value] : node.bindings) assign(*target, evaluate(*value, scope), *body_scope);
  return run_block(node.body, body_scope);
}

Interpreter::Flow Interpreter::run_node(const GenerationStatement& node, const ScopeRef& scope) {
  return run_block(node.body, inner(scope, &node.body));
}

}  // namespace ddro::jinja
