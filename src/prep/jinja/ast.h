// The parsed template. Nodes live in two arenas of the Template and point to each other; the tree is immutable after
// parsing, so that many renders may walk it at once. Names are numbered, so that a scope is a short list of (id,
// value).
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <utility>
#include <vector>

#include "prep/jinja/callable.h"
#include "prep/jinja/operators.h"
#include "prep/jinja/value.h"

namespace miao::prep::jinja {

enum class ExprKind : uint8_t {
  constant,     // value
  name,         // id
  tuple,        // kids
  list,         // kids
  dict,         // kids: key, value, key, value ...
  conditional,  // kids: then, condition, else (may be null)
  logic_or,     // kids: left, right
  logic_and,
  logic_not,   // kids: operand
  compare,     // kids: first, operand ...; relations
  arithmetic,  // kids: left, right; op
  concat,      // kids
  sign,        // kids: operand; negative
  attribute,   // kids: object; text
  item,        // kids: object, key
  slice,       // kids: object, start, stop, step (bounds may be null)
  call,        // kids: callee; arguments
  filter,      // kids: input (null: the text of the enclosing block); arguments, builtin
  test,        // kids: input; arguments, builtin
  ns_target,   // id, text: the assignment target ns.attribute
};

struct Expr {
  struct Argument {
    enum class Passing : uint8_t { positional, named, spread_list, spread_dict } passing;
    std::string name;
    Expr* value;
  };

  ExprKind kind = ExprKind::constant;
  Op op = Op::add;
  bool negative = false;
  int line = 1;
  int height = 1;  // of the tree below
  uint32_t id = 0;
  const Builtin* builtin = nullptr;  // null in a filter or test: an unknown name, `text`, on a path that may not run
  Value value;
  std::string text;
  std::vector<Expr*> kids;
  std::vector<Relation> relations;
  std::vector<Argument> arguments;
};

enum class StmtKind : uint8_t {
  output,        // exprs
  assign,        // target, exprs[0]
  assign_block,  // target, exprs[0] (filter chain or null), body
  branch,        // arms
  loop,          // target, exprs: iterable, filter (or null); body, otherwise
  with,          // targets in macro.params, exprs; body
  macro,         // id, macro
  call,          // exprs[0] (a call), macro: the caller block
  filter,        // exprs[0], body
  scope,         // body in a scope of its own: generation
  block,         // body in the outermost scope
  loop_break,
  loop_continue,
};

struct Stmt;
using Body = std::vector<Stmt*>;

struct MacroCode {
  std::string name;
  std::vector<uint32_t> params;
  std::vector<Expr*> defaults;  // of the last parameters
  Body body;
  bool wants_caller = false, wants_varargs = false, wants_kwargs = false;
};

struct Stmt {
  struct Arm {
    Expr* condition;  // null: else
    Body body;
  };

  StmtKind kind = StmtKind::output;
  int line = 1;
  int height = 1;
  uint32_t id = 0;
  Expr* target = nullptr;
  std::vector<Expr*> exprs;
  Body body;
  Body otherwise;
  std::vector<Arm> arms;
  MacroCode macro;
};

struct Template {
  std::string source;
  std::string place;
  std::vector<std::string> names;  // by id
  std::vector<bool> read;          // by id: the template reads this name somewhere
  std::deque<Expr> exprs;
  std::deque<Stmt> stmts;
  Body body;
};

// Ids that every template has.
enum : uint32_t { kNameLoop, kNameCaller, kNameVarargs, kNameKwargs, kFixedNames };

}  // namespace miao::prep::jinja
