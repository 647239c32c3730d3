// Expressions, lowest precedence first: if-else, or, and, not, comparisons, + -, ~, * / // %, **, signs, postfix,
// filters and tests. As in Jinja2, ~ binds tighter than + and ** groups to the left.
#include <algorithm>

#include "prep/jinja/parser_state.h"

namespace miao::prep::jinja {

Result<Expr*> Parser::expression(bool with_conditional) {
  Nesting nesting(depth_);
  MIAO_CHECK_OK(check_depth());
  return with_conditional ? conditional() : logic_or();
}

Result<Expr*> Parser::conditional() {
  const int line = now().line;
  MIAO_TRY(Expr * result, logic_or());
  while (skip_name("if")) {
    const bool was_soft = std::exchange(soft_, true);
    MIAO_TRY(Expr * condition, logic_or());
    Expr* otherwise = nullptr;
    if (skip_name("else")) {
      MIAO_TRY(otherwise, expression());
    }
    soft_ = was_soft;
    MIAO_TRY(result, make(ExprKind::conditional, line, {result, condition, otherwise}));
  }
  return result;
}

Result<Expr*> Parser::logic_or() {
  MIAO_TRY(Expr * left, logic_and());
  while (now().is_name("or")) {
    const int line = now().line;
    next();
    MIAO_TRY(Expr * right, logic_and());
    MIAO_TRY(left, make(ExprKind::logic_or, line, {left, right}));
  }
  return left;
}

Result<Expr*> Parser::logic_and() {
  MIAO_TRY(Expr * left, logic_not());
  while (now().is_name("and")) {
    const int line = now().line;
    next();
    MIAO_TRY(Expr * right, logic_not());
    MIAO_TRY(left, make(ExprKind::logic_and, line, {left, right}));
  }
  return left;
}

Result<Expr*> Parser::logic_not() {
  if (!now().is_name("not")) return comparison();
  Nesting nesting(depth_);
  MIAO_CHECK_OK(check_depth());
  const int line = now().line;
  next();
  MIAO_TRY(Expr * operand, logic_not());
  return make(ExprKind::logic_not, line, {operand});
}

Result<Expr*> Parser::comparison() {
  static constexpr std::pair<std::string_view, Relation> kRelations[] = {{"==", Relation::eq}, {"!=", Relation::ne},
                                                                         {"<", Relation::lt},  {"<=", Relation::le},
                                                                         {">", Relation::gt},  {">=", Relation::ge}};
  const int line = now().line;
  MIAO_TRY(Expr * first, sum());
  std::vector<Expr*> kids = {first};
  std::vector<Relation> relations;
  while (true) {
    if (now().is_name("in")) {
      relations.push_back(Relation::in);
    } else if (now().is_name("not") && ahead().is_name("in")) {
      relations.push_back(Relation::not_in);
      next();
    } else {
      const auto* row = std::find_if(std::begin(kRelations), std::end(kRelations),
                                     [&](const auto& r) { return now().is_op(r.first); });
      if (row == std::end(kRelations)) break;
      relations.push_back(row->second);
    }
    next();
    MIAO_TRY(Expr * operand, sum());
    kids.push_back(operand);
  }
  if (relations.empty()) return first;
  MIAO_TRY(Expr * result, make(ExprKind::compare, line, std::move(kids)));
  result->relations = std::move(relations);
  return result;
}

Result<Expr*> Parser::sum() {
  MIAO_TRY(Expr * left, concat());
  while (now().is_op("+") || now().is_op("-")) {
    const Op op = now().is_op("+") ? Op::add : Op::sub;
    const int line = now().line;
    next();
    MIAO_TRY(Expr * right, concat());
    MIAO_TRY(left, make(ExprKind::arithmetic, line, {left, right}));
    left->op = op;
  }
  return left;
}

Result<Expr*> Parser::concat() {
  const int line = now().line;
  MIAO_TRY(Expr * first, product());
  std::vector<Expr*> parts = {first};
  while (skip_op("~")) {
    MIAO_TRY(Expr * part, product());
    parts.push_back(part);
  }
  if (parts.size() == 1) return first;
  return make(ExprKind::concat, line, std::move(parts));
}

Result<Expr*> Parser::product() {
  static constexpr std::pair<std::string_view, Op> kOps[] = {
      {"*", Op::mul}, {"/", Op::div}, {"//", Op::floordiv}, {"%", Op::mod}};
  MIAO_TRY(Expr * left, power());
  while (true) {
    const auto* row =
        std::find_if(std::begin(kOps), std::end(kOps), [&](const auto& r) { return now().is_op(r.first); });
    if (row == std::end(kOps)) return left;
    const int line = now().line;
    next();
    MIAO_TRY(Expr * right, power());
    MIAO_TRY(left, make(ExprKind::arithmetic, line, {left, right}));
    left->op = row->second;
  }
}

Result<Expr*> Parser::power() {
  MIAO_TRY(Expr * left, unary(true));
  while (now().is_op("**")) {
    const int line = now().line;
    next();
    MIAO_TRY(Expr * right, unary(true));
    MIAO_TRY(left, make(ExprKind::arithmetic, line, {left, right}));
    left->op = Op::pow;
  }
  return left;
}

Result<Expr*> Parser::unary(bool with_filter) {
  Expr* e = nullptr;
  if (now().is_op("-") || now().is_op("+")) {
    Nesting nesting(depth_);
    MIAO_CHECK_OK(check_depth());
    const bool negative = now().is_op("-");
    const int line = now().line;
    next();
    MIAO_TRY(Expr * operand, unary(false));
    MIAO_TRY(e, make(ExprKind::sign, line, {operand}));
    e->negative = negative;
  } else {
    MIAO_TRY(e, primary());
  }
  MIAO_TRY(e, postfix(e));
  return with_filter ? filters_and_tests(e) : Result<Expr*>(e);
}

Result<Expr*> Parser::constant(Value value, int line) {
  MIAO_TRY(Expr * e, make(ExprKind::constant, line));
  e->value = std::move(value);
  return e;
}

Result<Expr*> Parser::primary() {
  const Lexeme& token = now();
  const int line = token.line;
  switch (token.token) {
    case Token::name: {
      next();
      if (token.text == "true" || token.text == "True") return constant(Value(true), line);
      if (token.text == "false" || token.text == "False") return constant(Value(false), line);
      if (token.text == "none" || token.text == "None") return constant(Value::none(), line);
      MIAO_TRY(Expr * e, make(ExprKind::name, line));
      MIAO_TRY(e->id, name_id(token.text, line));
      out_.read[e->id] = true;
      for (MacroCode* macro : macros_) {
        macro->wants_caller = macro->wants_caller || e->id == kNameCaller;
        macro->wants_varargs = macro->wants_varargs || e->id == kNameVarargs;
        macro->wants_kwargs = macro->wants_kwargs || e->id == kNameKwargs;
      }
      return e;
    }
    case Token::string: {
      std::string text;
      for (; now().token == Token::string; next()) text += now().text;
      return constant(Value::literal(std::move(text)), line);
    }
    case Token::integer:
      next();
      return constant(Value(token.integer), line);
    case Token::real:
      next();
      return constant(Value(token.real), line);
    default:
      break;
  }
  if (skip_op("(")) {
    MIAO_TRY(Expr * e, tuple(true, "", true));
    MIAO_CHECK_OK(expect_op(")"));
    return e;
  }
  if (token.is_op("[")) return list_literal();
  if (token.is_op("{")) return dict_literal();
  return unexpected("an expression");
}

bool Parser::tuple_ends(std::string_view end_name) const {
  return now().token == Token::variable_end || now().token == Token::block_end || now().is_op(")") ||
         (!end_name.empty() && now().is_name(end_name));
}

Result<Expr*> Parser::tuple(bool with_conditional, std::string_view end_name, bool parenthesized) {
  const int line = now().line;
  std::vector<Expr*> items;
  bool is_tuple = false;
  while (true) {
    if (!items.empty()) MIAO_CHECK_OK(expect_op(","));
    if (tuple_ends(end_name)) break;
    MIAO_TRY(Expr * item, expression(with_conditional));
    items.push_back(item);
    if (!now().is_op(",")) break;
    is_tuple = true;
  }
  if (!is_tuple) {
    if (!items.empty()) return items[0];
    if (!parenthesized) return unexpected("an expression");
  }
  return make(ExprKind::tuple, line, std::move(items));
}

Result<Expr*> Parser::list_literal() {
  const int line = now().line;
  next();
  std::vector<Expr*> items;
  while (!now().is_op("]")) {
    if (!items.empty()) MIAO_CHECK_OK(expect_op(","));
    if (now().is_op("]")) break;
    MIAO_TRY(Expr * item, expression());
    items.push_back(item);
  }
  MIAO_CHECK_OK(expect_op("]"));
  return make(ExprKind::list, line, std::move(items));
}

Result<Expr*> Parser::dict_literal() {
  const int line = now().line;
  next();
  std::vector<Expr*> items;
  while (!now().is_op("}")) {
    if (!items.empty()) MIAO_CHECK_OK(expect_op(","));
    if (now().is_op("}")) break;
    MIAO_TRY(Expr * key, expression());
    MIAO_CHECK_OK(expect_op(":"));
    MIAO_TRY(Expr * value, expression());
    items.push_back(key);
    items.push_back(value);
  }
  MIAO_CHECK_OK(expect_op("}"));
  return make(ExprKind::dict, line, std::move(items));
}

}  // namespace miao::prep::jinja
