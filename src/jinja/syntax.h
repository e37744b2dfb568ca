// The syntax tree.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "jinja/objects.h"
#include "jinja/value.h"

namespace ddro::jinja {

using NameId = int;  // index into Program::names

enum class ExprKind {
  kConst,
  kName,
  kTuple,
  kList,
  kDict,          // children: key, value, key, value, ...
  kAttribute,     // children: object; text: the name
  kNamespaceRef,  // an assignment target ns.attribute: name and text
  kItem,          // children: object, index
  kSlice,         // children: object, start, stop, step (null where absent)
  kCall,          // children: callee; arguments
  kFilter,        // children: input (null: the body of a block); text, native, arguments
  kTest,          // likewise
  kNegate,
  kPlus,
  kNot,
  kAnd,
  kOr,
  kCompare,  // children: first operand, then one for each operator
  kBinary,   // two children, one operator
  kConcat,
  kConditional,  // children: condition, value, alternative (null where absent)
};

enum class Operator {
  kAdd,
  kSub,
  kMul,
  kDiv,
  kFloorDiv,
  kMod,
  kPow,
  kEq,
  kNe,
  kLt,
  kLe,
  kGt,
  kGe,
  kIn,
  kNotIn
};

struct Expr;
using ExprPtr = std::unique_ptr<Expr>;

struct ArgumentExprs {
  std::vector<ExprPtr> positional;
  std::vector<std::pair<std::string, ExprPtr>> named;
  ExprPtr star;       // *expression
  ExprPtr star_star;  // **expression
};

struct Expr {
  ExprKind kind = ExprKind::kConst;
  int line = 1;
  int depth = 1;
  NameId name = -1;
  std::string text;
  Value constant;
  Native native = nullptr;
  std::vector<ExprPtr> children;
  std::vector<Operator> operators;
  std::unique_ptr<ArgumentExprs> arguments;
};

struct Statement;
struct Block {
  std::vector<std::unique_ptr<Statement>> statements;
  // Of a block with a scope of its own: the names that read as undefined in it until it sets them, even if
  // there is a variable of that name around the template (symbols.h).
  std::vector<NameId> unset;
};

struct MacroDefinition {
  std::string name;
  std::vector<std::pair<NameId, std::string>> parameters;
  std::vector<ExprPtr> defaults;                                           // of the last parameters
  bool takes_varargs = false, takes_kwargs = false, takes_caller = false;  // the body mentions them
  Block body;
};

struct TextStatement {
  MarkedText text;
};
struct PrintStatement {
  std::vector<ExprPtr> values;
};
struct ForStatement {
  ExprPtr target, iterable, condition;
  Block body, otherwise;
};
struct IfStatement {
  std::vector<std::pair<ExprPtr, Block>> branches;
  Block otherwise;
};
struct SetStatement {
  ExprPtr target, value;
};
struct SetBlockStatement {
  ExprPtr target, filter;
  Block body;
};
struct MacroStatement {
  NameId name;
  MacroDefinition macro;
};
struct CallStatement {  // {% call(...) macro(...) %}: the body is a macro of its own
  ExprPtr call;
  MacroDefinition caller;
};
struct FilterStatement {
  ExprPtr filter;
  Block body;
};
struct WithStatement {
  std::vector<std::pair<ExprPtr, ExprPtr>> bindings;
  Block body;
};
struct GenerationStatement {
  Block body;
};
struct BreakStatement {};
struct ContinueStatement {};

struct Statement {
  int line = 1;
  std::variant<TextStatement, PrintStatement, ForStatement, IfStatement, SetStatement, SetBlockStatement,
               MacroStatement, CallStatement, FilterStatement, WithStatement, GenerationStatement,
               BreakStatement, ContinueStatement>
      node;
};

struct Program {
  std::string name;  // for messages
  Block body;
  std::vector<std::string> names;  // by NameId
};

}  // namespace ddro::jinja
