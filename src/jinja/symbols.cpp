#include "jinja/symbols.h"

#include <algorithm>
#include <set>

namespace ddro::jinja {
namespace {

class ScopeSymbols {
 public:
  explicit ScopeSymbols(const ScopeSymbols* parent) : parent_(parent) {}

  void declare(const Expr& target) {
    if (target.kind == ExprKind::kName) known_.insert(target.name);
    for (const ExprPtr& child : target.children) declare(*child);
  }

  // Reads and assignments of the scope itself, in order; then the scopes inside it.
  void analyze(Block& block) {
    for (const auto& statement : block.statements) visit(*statement, false);
    block.unset = unset_;
    for (const auto& statement : block.statements) descend(*statement);
  }

  void read(const ExprPtr& expr) {
    if (expr == nullptr) return;
    if (expr->kind == ExprKind::kName && !is_known(expr->name)) known_.insert(expr->name);
    for (const ExprPtr& child : expr->children) read(child);
    if (expr->arguments == nullptr) return;
    for (const ExprPtr& argument : expr->arguments->positional) read(argument);
    for (const auto& [name, argument] : expr->arguments->named) read(argument);
    read(expr->arguments->star);
    read(expr->arguments->star_star);
  }

  void declare_parameters(MacroDefinition& macro) {
    for (const auto& [id, name] : macro.parameters) known_.insert(id);
    for (const ExprPtr& value : macro.defaults) read(value);
  }

 private:
  bool is_known(NameId name) const {
    return known_.contains(name) || (parent_ != nullptr && parent_->is_known(name));
  }

  // An assignment under an `if` may not happen: the name keeps its meaning from outside.
  void assign(NameId name, bool conditional) {
    if (is_known(name)) return;
    known_.insert(name);
    if (!conditional) unset_.push_back(name);
  }

  void assign(const Expr& target, bool conditional) {
    if (target.kind == ExprKind::kName) assign(target.name, conditional);
    if (target.kind == ExprKind::kNamespaceRef && !is_known(target.name)) known_.insert(target.name);
    for (const ExprPtr& child : target.children) assign(*child, conditional);
  }

  void visit(Statement& statement, bool conditional) {
    if (auto* print = std::get_if<PrintStatement>(&statement.node)) {
      for (const ExprPtr& value : print->values) read(value);
    } else if (auto* loop = std::get_if<ForStatement>(&statement.node)) {
      read(loop->iterable);
    } else if (auto* choice = std::get_if<IfStatement>(&statement.node)) {
      visit_branches(*choice);
    } else if (auto* set = std::get_if<SetStatement>(&statement.node)) {
      read(set->value);
      assign(*set->target, conditional);
    } else if (auto* set_block = std::get_if<SetBlockStatement>(&statement.node)) {
      assign(*set_block->target, conditional);
    } else if (auto* macro = std::get_if<MacroStatement>(&statement.node)) {
      assign(macro->name, conditional);
    } else if (auto* call = std::get_if<CallStatement>(&statement.node)) {
      read(call->call);
    } else if (auto* filter = std::get_if<FilterStatement>(&statement.node)) {
      read(filter->filter);
    } else if (auto* with = std::get_if<WithStatement>(&statement.node)) {
      for (const auto& [target, value] : with->bindings) read(value);
    }
  }

  void visit_branches(IfStatement& choice) {
    for (auto& [condition, body] : choice.branches) {
      read(condition);
      for (const auto& statement : body.statements) visit(*statement, true);
    }
    for (const auto& statement : choice.otherwise.statements) visit(*statement, true);
  }

  void descend_into(Block& block, const std::vector<const Expr*>& targets = {}) {
    ScopeSymbols inner(this);
    for (const Expr* target : targets) inner.declare(*target);
    inner.analyze(block);
  }

  void descend_into(MacroDefinition& macro) {
    ScopeSymbols inner(this);
    inner.declare_parameters(macro);
    inner.analyze(macro.body);
  }

  void descend(Statement& statement) {
    if (auto* loop = std::get_if<ForStatement>(&statement.node)) {
      descend_into(loop->body, {loop->target.get()});
      descend_into(loop->otherwise);
    } else if (auto* choice = std::get_if<IfStatement>(&statement.node)) {
      for (auto& [condition, body] : choice->branches) {
        for (const auto& inside : body.statements) descend(*inside);
      }
      for (const auto& inside : choice->otherwise.statements) descend(*inside);
    } else if (auto* set = std::get_if<SetBlockStatement>(&statement.node)) {
      descend_into(set->body);
    } else if (auto* macro = std::get_if<MacroStatement>(&statement.node)) {
      descend_into(macro->macro);
    } else if (auto* call = std::get_if<CallStatement>(&statement.node)) {
      descend_into(call->caller);
    } else if (auto* filter = std::get_if<FilterStatement>(&statement.node)) {
      descend_into(filter->body);
    } else if (auto* with = std::get_if<WithStatement>(&statement.node)) {
      std::vector<const Expr*> targets;
      for (const auto& [target, value] : with->bindings) targets.push_back(target.get());
      descend_into(with->body, targets);
    } else if (auto* generation = std::get_if<GenerationStatement>(&statement.node)) {
      descend_into(generation->body);
    }
  }

  const ScopeSymbols* parent_;
  std::set<NameId> known_;  // read, assigned or declared here
  std::vector<NameId> unset_;
};

}  // namespace

void find_unset_names(Program& program) { ScopeSymbols(nullptr).analyze(program.body); }

}  // namespace ddro::jinja
