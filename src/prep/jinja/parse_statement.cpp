// The statements, one function each; the tag's name is read when they are called.
#include <algorithm>

#include "prep/jinja/parser_state.h"
#include "prep/jinja/unicode.h"

namespace miao::prep::jinja {

Result<Stmt*> Parser::output_list() {
  MIAO_TRY(Stmt * s, make(StmtKind::output, now().line));
  while (now().token != Token::block_end) {
    if (!s->exprs.empty()) MIAO_CHECK_OK(expect_op(","));
    MIAO_TRY(Expr * e, expression());
    s->exprs.push_back(e);
  }
  return s;
}

Result<uint32_t> Parser::target_name() {
  const int line = now().line;
  MIAO_TRY(const std::string name, expect_any_name());
  for (const char* fixed : {"true", "false", "none", "True", "False", "None"}) {
    if (name == fixed) return fail("cannot assign to '" + name + "'", line);
  }
  return name_id(name, line);
}

// name, ns.attribute, or a parenthesised target.
Result<Expr*> Parser::target_item(bool with_namespace) {
  const int line = now().line;
  if (skip_op("(")) {
    MIAO_TRY(Expr * inner, target(with_namespace, ""));
    MIAO_CHECK_OK(expect_op(")"));
    return inner;
  }
  if (now().token != Token::name) return unexpected("a name to assign to");
  MIAO_TRY(const uint32_t id, target_name());
  const bool attribute = with_namespace && skip_op(".");
  MIAO_TRY(Expr * e, make(attribute ? ExprKind::ns_target : ExprKind::name, line));
  e->id = id;
  if (attribute) {
    MIAO_TRY(e->text, expect_any_name());
  }
  return e;
}

Result<Expr*> Parser::target(bool with_namespace, std::string_view end_name) {
  Nesting nesting(depth_);
  MIAO_CHECK_OK(check_depth());
  const int line = now().line;
  std::vector<Expr*> items;
  bool is_tuple = false;
  while (true) {
    if (!items.empty()) MIAO_CHECK_OK(expect_op(","));
    if (tuple_ends(end_name)) break;
    MIAO_TRY(Expr * item, target_item(with_namespace));
    items.push_back(item);
    if (!now().is_op(",")) break;
    is_tuple = true;
  }
  if (items.empty()) return unexpected("a name to assign to");
  return is_tuple ? make(ExprKind::tuple, line, std::move(items)) : Result<Expr*>(items[0]);
}

Result<Stmt*> Parser::set_statement() {
  const int line = now().line;
  MIAO_TRY(Expr * to, target(true, ""));
  if (skip_op("=")) {
    MIAO_TRY(Stmt * s, make(StmtKind::assign, line));
    s->target = to;
    MIAO_TRY(Expr * value, tuple(true, "", false));
    s->exprs = {value};
    return s;
  }
  MIAO_TRY(Stmt * s, make(StmtKind::assign_block, line));
  s->target = to;
  MIAO_TRY(Expr * chain, filter_chain(nullptr, false));
  s->exprs = {chain};
  MIAO_CHECK_OK(body(s->body, {"endset"}));
  next();
  return s;
}

Result<Stmt*> Parser::if_statement() {
  MIAO_TRY(Stmt * s, make(StmtKind::branch, now().line));
  const bool was_soft = std::exchange(soft_, true);
  while (true) {
    MIAO_TRY(Expr * condition, tuple(false, "", false));
    s->arms.push_back({condition, {}});
    MIAO_CHECK_OK(body(s->arms.back().body, {"elif", "else", "endif"}));
    const std::string word = now().text;
    next();
    if (word == "elif") continue;
    if (word == "else") {
      s->arms.push_back({nullptr, {}});
      MIAO_CHECK_OK(body(s->arms.back().body, {"endif"}));
      next();
    }
    break;
  }
  soft_ = was_soft;
  return s;
}

Result<Stmt*> Parser::for_statement() {
  MIAO_TRY(Stmt * s, make(StmtKind::loop, now().line));
  const bool was_soft = std::exchange(soft_, false);
  const size_t names_from = at_;
  MIAO_TRY(s->target, target(false, "in"));
  for (size_t i = names_from; i < at_; ++i) {
    if (lexemes_[i].is_name("loop")) return fail("a loop cannot assign to 'loop'", lexemes_[i].line);
  }
  MIAO_CHECK_OK(expect_name("in"));
  MIAO_TRY(Expr * items, tuple(false, "recursive", false));
  Expr* filter = nullptr;
  if (skip_name("if")) {
    MIAO_TRY(filter, expression());
  }
  s->exprs = {items, filter};
  if (now().is_name("recursive")) {
    Error error = fail("recursive loops are not supported; use a macro that calls itself");
    error.code = Code::unsupported;
    return error;
  }
  ++loops_;
  MIAO_CHECK_OK(body(s->body, {"else", "endfor"}));
  --loops_;
  const bool has_else = now().is_name("else");
  next();
  if (has_else) {
    MIAO_CHECK_OK(body(s->otherwise, {"endfor"}));
    next();
  }
  soft_ = was_soft;
  return s;
}

Result<Stmt*> Parser::with_statement() {
  MIAO_TRY(Stmt * s, make(StmtKind::with, now().line));
  while (now().token != Token::block_end) {
    if (!s->exprs.empty()) MIAO_CHECK_OK(expect_op(","));
    MIAO_TRY(const uint32_t id, target_name());
    MIAO_CHECK_OK(expect_op("="));
    MIAO_TRY(Expr * value, expression());
    s->macro.params.push_back(id);
    s->exprs.push_back(value);
  }
  MIAO_CHECK_OK(body(s->body, {"endwith"}));
  next();
  return s;
}

Result<void> Parser::signature(MacroCode& macro) {
  MIAO_CHECK_OK(expect_op("("));
  while (!now().is_op(")")) {
    if (!macro.params.empty()) MIAO_CHECK_OK(expect_op(","));
    MIAO_TRY(const uint32_t id, target_name());
    if (std::find(macro.params.begin(), macro.params.end(), id) != macro.params.end()) {
      return fail("parameter '" + clipped(out_.names[id]) + "' appears twice");
    }
    macro.params.push_back(id);
    if (macro.params.size() > kMaxParameters) {
      return fail("a macro takes at most " + std::to_string(kMaxParameters) + " parameters");
    }
    if (skip_op("=")) {
      MIAO_TRY(Expr * value, expression());
      macro.defaults.push_back(value);
    } else if (!macro.defaults.empty()) {
      return fail("a parameter without default follows one with a default");
    }
  }
  next();
  return {};
}

Result<void> Parser::macro_body(MacroCode& macro, Names ends) {
  macros_.push_back(&macro);
  const int loops = std::exchange(loops_, 0);
  const bool was_soft = std::exchange(soft_, false);
  MIAO_CHECK_OK(body(macro.body, ends));
  next();
  for (const uint32_t id : macro.params) {  // a parameter of that name takes its place
    macro.wants_varargs = macro.wants_varargs && id != kNameVarargs;
    macro.wants_kwargs = macro.wants_kwargs && id != kNameKwargs;
  }
  macros_.pop_back();
  loops_ = loops;
  soft_ = was_soft;
  return {};
}

Result<Stmt*> Parser::macro_statement() {
  MIAO_TRY(Stmt * s, make(StmtKind::macro, now().line));
  MIAO_TRY(s->id, target_name());
  s->macro.name = out_.names[s->id];
  MIAO_CHECK_OK(signature(s->macro));
  MIAO_CHECK_OK(macro_body(s->macro, {"endmacro"}));
  return s;
}

Result<Stmt*> Parser::call_statement() {
  MIAO_TRY(Stmt * s, make(StmtKind::call, now().line));
  if (now().is_op("(")) MIAO_CHECK_OK(signature(s->macro));
  MIAO_TRY(Expr * call, expression());
  if (call->kind != ExprKind::call) return fail("a call block needs a call: {% call name() %}", s->line);
  s->exprs = {call};
  MIAO_CHECK_OK(macro_body(s->macro, {"endcall"}));
  return s;
}

Result<Stmt*> Parser::filter_statement() {
  MIAO_TRY(Stmt * s, make(StmtKind::filter, now().line));
  MIAO_TRY(Expr * chain, filter_chain(nullptr, true));
  s->exprs = {chain};
  MIAO_CHECK_OK(body(s->body, {"endfilter"}));
  next();
  return s;
}

// {% generation %}: marks what the assistant wrote for training; here its body only has a scope of its own.
Result<Stmt*> Parser::generation_statement() {
  MIAO_TRY(Stmt * s, make(StmtKind::scope, now().line));
  const int loops = std::exchange(loops_, 0);
  MIAO_CHECK_OK(body(s->body, {"endgeneration"}));
  loops_ = loops;
  next();
  return s;
}

Result<Stmt*> Parser::block_statement() {
  MIAO_TRY(Stmt * s, make(StmtKind::block, now().line));
  MIAO_TRY(const std::string name, expect_any_name());
  if (!blocks_.insert(name).second) {
    return fail("block '" + clipped(name) + "' is defined twice", s->line);
  }
  skip_name("scoped");
  skip_name("required");
  const int loops = std::exchange(loops_, 0);
  MIAO_CHECK_OK(body(s->body, {"endblock"}));
  loops_ = loops;
  next();
  skip_name(name);
  return s;
}

}  // namespace miao::prep::jinja
