#include "jinja/parser.h"

#include <utility>

#include "ddro/base/error.h"
#include "ddro/jinja/template.h"
#include "jinja/expression_parser.h"
#include "jinja/symbols.h"
#include "jinja/unknown_names.h"

namespace ddro::jinja {
namespace {

using Names = std::initializer_list<std::string_view>;

class Parser : public ExpressionParser {
 public:
  using ExpressionParser::ExpressionParser;

  Program run() {
    Program program;
    program.body = parse_block({});
    find_unset_names(program);
    program.name = name_;
    program.names = std::move(names_);
    refuse_unknown_names(program);
    return program;
  }

 private:
  // How deep in for loops the current function body is; break and continue need one.
  class LoopDepth {
   public:
    LoopDepth(int& depth, int value) : depth_(depth), saved_(std::exchange(depth, value)) {}
    ~LoopDepth() { depth_ = saved_; }
    LoopDepth(const LoopDepth&) = delete;
    LoopDepth& operator=(const LoopDepth&) = delete;

   private:
    int& depth_;
    int saved_;
  };

  template <class Node>
  static std::unique_ptr<Statement> make(int line, Node node) {
    auto statement = std::make_unique<Statement>();
    statement->line = line;
    statement->node = std::move(node);
    return statement;
  }

  // Statements up to a tag named in `ends`, whose name is then the current token; up to the end without
  // names.
  Block parse_block(Names ends) {
    const Nesting nesting(*this);
    Block block;
    while (current().kind != TokenKind::kEnd) {
      const Token token = take();
      if (token.kind == TokenKind::kData) {
        block.statements.push_back(make(token.line, TextStatement{make_text(token.text, false)}));
      } else if (token.kind == TokenKind::kVariableBegin) {
        PrintStatement print;
        print.values.push_back(parse_tuple());
        expect(TokenKind::kVariableEnd, "'}}'");
        block.statements.push_back(make(token.line, std::move(print)));
      } else {
        if (current().kind != TokenKind::kName) fail_unexpected("the name of a tag");
        for (const std::string_view end : ends) {
          if (current().is_name(end)) return block;
        }
        block.statements.push_back(parse_statement());
        expect(TokenKind::kBlockEnd, "'%}'");
      }
    }
    if (ends.size() > 0) fail(current().line, "the template ends before " + std::string(*std::rbegin(ends)));
    return block;
  }

  // The body of a tag, from the end of the opening tag on.
  Block parse_body(Names ends) {
    skip_operator(":");
    expect(TokenKind::kBlockEnd, "'%}'");
    return parse_block(ends);
  }

  Block parse_body_to(std::string_view end) {
    Block block = parse_body({end});
    take();
    return block;
  }

  std::unique_ptr<Statement> parse_statement() {
    const Token tag = take();
    const int line = tag.line;
    if (tag.text == "for") return parse_for(line);
    if (tag.text == "if") return parse_if(line);
    if (tag.text == "set") return parse_set(line);
    if (tag.text == "macro") return parse_macro(line);
    if (tag.text == "call") return parse_call_block(line);
    if (tag.text == "with") return parse_with(line);
    if (tag.text == "print") return parse_print(line);
    if (tag.text == "filter") {
      FilterStatement filter{parse_filters(nullptr, true), {}};
      filter.body = parse_body_to("endfilter");
      return make(line, std::move(filter));
    }
    if (tag.text == "generation") {
      const LoopDepth outside(loop_depth_, 0);
      return make(line, GenerationStatement{parse_body_to("endgeneration")});
    }
    if (tag.text == "break" || tag.text == "continue") {
      if (loop_depth_ == 0) fail(line, tag.text + " outside of a loop");
      return tag.text == "break" ? make(line, BreakStatement{}) : make(line, ContinueStatement{});
    }
    fail(line, "the tag " + printable(tag.text, 60) + " is not supported here");
  }

  void refuse_loop_target(const Expr& target) const {
    if (loop_depth_ > 0 && target.kind == ExprKind::kName && target.text == "loop") {
      fail(target.line, "cannot assign to loop inside of a loop");
    }
    for (const ExprPtr& child : target.children) refuse_loop_target(*child);
  }

  std::unique_ptr<Statement> parse_for(int line) {
    ForStatement loop;
    loop.target = parse_target(false, true);
    if (!skip_name("in")) fail_unexpected("'in'");
    loop.iterable = parse_tuple(false);
    if (skip_name("if")) loop.condition = parse_expression();
    if (current().is_name("recursive")) fail(line, "a recursive loop is not supported");
    {
      const LoopDepth inside(loop_depth_, loop_depth_ + 1);
      refuse_loop_target(*loop.target);
      loop.body = parse_body({"endfor", "else"});
    }
    if (take().text == "else") loop.otherwise = parse_body_to("endfor");
    return make(line, std::move(loop));
  }

  std::unique_ptr<Statement> parse_if(int line) {
    IfStatement choice;
    std::string next;
    do {
      ExprPtr condition = parse_tuple(false);
      Block body = parse_body({"elif", "else", "endif"});
      choice.branches.emplace_back(std::move(condition), std::move(body));
      next = take().text;
    } while (next == "elif");
    if (next == "else") choice.otherwise = parse_body_to("endif");
    return make(line, std::move(choice));
  }

  std::unique_ptr<Statement> parse_set(int line) {
    ExprPtr target = parse_target(true, false);
    refuse_loop_target(*target);
    if (skip_operator("=")) return make(line, SetStatement{std::move(target), parse_tuple()});
    SetBlockStatement set{std::move(target), nullptr, {}};
    if (current().is_operator("|")) set.filter = parse_filters(nullptr);
    set.body = parse_body_to("endset");
    return make(line, std::move(set));
  }

  void parse_parameters(MacroDefinition& macro) {
    expect_operator("(");
    while (!skip_operator(")")) {
      const Token name = expect_name();
      if (skip_operator("=")) {
        macro.defaults.push_back(parse_expression());
      } else if (!macro.defaults.empty()) {
        fail(name.line, "a parameter without default follows one with a default");
      }
      macro.parameters.emplace_back(intern(name.text), name.text);
      if (!current().is_operator(")")) expect_operator(",");
    }
  }

  void parse_macro_body(MacroDefinition& macro, std::string_view end) {
    const LoopDepth outside(loop_depth_, 0);
    NameWatch watch(*this);
    macro.body = parse_body_to(end);
    const auto takes = [&](const std::string& name) {
      for (const auto& [id, parameter] : macro.parameters) {
        if (parameter == name) return false;
      }
      return watch.loaded.contains(name);
    };
    macro.takes_varargs = takes("varargs");
    macro.takes_kwargs = takes("kwargs");
    macro.takes_caller = takes("caller");
  }

  std::unique_ptr<Statement> parse_macro(int line) {
    MacroStatement statement;
    statement.macro.name = expect_name().text;
    statement.name = intern(statement.macro.name);
    parse_parameters(statement.macro);
    parse_macro_body(statement.macro, "endmacro");
    return make(line, std::move(statement));
  }

  std::unique_ptr<Statement> parse_call_block(int line) {
    CallStatement statement;
    statement.caller.name = "caller";
    if (current().is_operator("(")) parse_parameters(statement.caller);
    statement.call = parse_expression();
    if (statement.call->kind != ExprKind::kCall) fail(line, "the tag call needs a call");
    parse_macro_body(statement.caller, "endcall");
    return make(line, std::move(statement));
  }

  std::unique_ptr<Statement> parse_with(int line) {
    WithStatement with;
    while (current().kind != TokenKind::kBlockEnd) {
      if (!with.bindings.empty()) expect_operator(",");
      ExprPtr target = parse_target(false, false);
      expect_operator("=");
      with.bindings.emplace_back(std::move(target), parse_expression());
    }
    with.body = parse_body_to("endwith");
    return make(line, std::move(with));
  }

  std::unique_ptr<Statement> parse_print(int line) {
    PrintStatement print;
    while (current().kind != TokenKind::kBlockEnd) {
      if (!print.values.empty()) expect_operator(",");
      print.values.push_back(parse_expression());
    }
    return make(line, std::move(print));
  }

  int loop_depth_ = 0;
};

}  // namespace

Program parse(std::string_view source, const std::string& name) {
  if (source.size() > kMaxSourceBytes) {
    throw model_error("[" + name + "] the template has " + std::to_string(source.size()) +
                      " bytes; at most " + std::to_string(kMaxSourceBytes) + " are allowed");
  }
  return Parser(source, name).run();
}

}  // namespace ddro::jinja
