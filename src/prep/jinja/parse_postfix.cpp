// What follows a primary expression: .name, [key], (arguments), |filter, is test.
#include <algorithm>

#include "prep/jinja/parser_state.h"
#include "prep/jinja/unicode.h"

namespace miao::prep::jinja {

Result<Expr*> Parser::postfix(Expr* e) {
  while (true) {
    if (now().is_op(".") || now().is_op("[")) {
      MIAO_TRY(e, subscript(e));
    } else if (now().is_op("(")) {
      MIAO_TRY(e, call(e));
    } else {
      return e;
    }
  }
}

Result<Expr*> Parser::filters_and_tests(Expr* e) {
  while (true) {
    if (now().is_op("|")) {
      MIAO_TRY(e, filter_chain(e, false));
    } else if (now().is_name("is")) {
      MIAO_TRY(e, test(e));
    } else if (now().is_op("(")) {
      MIAO_TRY(e, call(e));
    } else {
      return e;
    }
  }
}

Result<Expr*> Parser::subscript(Expr* object) {
  const int line = now().line;
  if (!skip_op(".")) {
    next();
    return bracketed(object, line);
  }
  const Lexeme& token = now();
  next();
  if (token.token == Token::name) {
    MIAO_TRY(Expr * e, make(ExprKind::attribute, line, {object}));
    e->text = token.text;
    return e;
  }
  if (token.token != Token::integer) return fail("expected a name or number after '.'", token.line);
  MIAO_TRY(Expr * key, constant(Value(token.integer), line));
  return make(ExprKind::item, line, {object, key});
}

// object[key], object[start:stop:step], object[a, b]; the [ is read.
Result<Expr*> Parser::bracketed(Expr* object, int line) {
  std::vector<Expr*> keys;
  while (!now().is_op("]")) {
    if (!keys.empty()) MIAO_CHECK_OK(expect_op(","));
    Expr* bounds[3] = {nullptr, nullptr, nullptr};
    int colons = 0;
    while (!now().is_op("]") && !now().is_op(",")) {
      if (skip_op(":")) {
        if (++colons > 2) return unexpected("']'");
        continue;
      }
      if (bounds[colons]) return unexpected("']'");
      MIAO_TRY(bounds[colons], expression());
    }
    if (colons > 0) {
      if (!keys.empty() || !now().is_op("]")) return unexpected("one slice");
      next();
      return make(ExprKind::slice, line, {object, bounds[0], bounds[1], bounds[2]});
    }
    if (!bounds[0]) return unexpected("an index");
    keys.push_back(bounds[0]);
  }
  next();
  if (keys.size() == 1) return make(ExprKind::item, line, {object, keys[0]});
  MIAO_TRY(Expr * key, make(ExprKind::tuple, line, std::move(keys)));
  return make(ExprKind::item, line, {object, key});
}

Result<Expr*> Parser::call(Expr* callee) {
  MIAO_TRY(Expr * e, make(ExprKind::call, now().line, {callee}));
  MIAO_CHECK_OK(arguments(e));
  return e;
}

// (a, b, name=c, *list, **dict) into e.
Result<void> Parser::arguments(Expr* e) {
  using Passing = Expr::Argument::Passing;
  const int line = now().line;
  MIAO_CHECK_OK(expect_op("("));
  bool seen[4] = {};
  for (bool first = true; !now().is_op(")"); first = false) {
    if (!first) {
      MIAO_CHECK_OK(expect_op(","));
      if (now().is_op(")")) break;
    }
    Expr::Argument argument{Passing::positional, "", nullptr};
    if (skip_op("*"))
      argument.passing = Passing::spread_list;
    else if (skip_op("**"))
      argument.passing = Passing::spread_dict;
    else if (now().token == Token::name && ahead().is_op("=")) {
      argument = {Passing::named, now().text, nullptr};
      next();
      next();
    }
    auto had = [&](Passing passing) { return seen[static_cast<int>(passing)]; };
    const bool ordered = argument.passing == Passing::positional
                             ? !had(Passing::named) && !had(Passing::spread_list) && !had(Passing::spread_dict)
                         : argument.passing == Passing::spread_list
                             ? !had(Passing::spread_list) && !had(Passing::spread_dict)
                             : !had(Passing::spread_dict);
    if (!ordered) return fail("arguments are out of order: positional, name=value, *list, **dict", line);
    seen[static_cast<int>(argument.passing)] = true;
    MIAO_TRY(argument.value, expression());
    e->arguments.push_back(std::move(argument));
  }
  next();
  return measure(e);
}

Result<Expr*> Parser::filter_chain(Expr* input, bool first_inline) {
  while (first_inline || now().is_op("|")) {
    if (!first_inline) next();
    first_inline = false;
    const int line = now().line;
    MIAO_TRY(std::string name, expect_any_name());
    while (skip_op(".")) {
      MIAO_TRY(const std::string part, expect_any_name());
      name += "." + part;
    }
    MIAO_TRY(Expr * e, make(ExprKind::filter, line, {input}));
    e->builtin = find_filter(name);
    if (!e->builtin && !soft_) return fail("no filter named '" + clipped(name) + "'", line);
    e->text = std::move(name);
    if (now().is_op("(")) MIAO_CHECK_OK(arguments(e));
    input = e;
  }
  return input;
}

Result<Expr*> Parser::test(Expr* input) {
  const int line = now().line;
  next();
  const bool negated = skip_name("not");
  MIAO_TRY(std::string name, expect_any_name());
  while (skip_op(".")) {
    MIAO_TRY(const std::string part, expect_any_name());
    name += "." + part;
  }
  MIAO_TRY(Expr * e, make(ExprKind::test, line, {input}));
  e->builtin = find_predicate(name);
  if (!e->builtin && !soft_) return fail("no test named '" + clipped(name) + "'", line);
  e->text = std::move(name);
  const Lexeme& token = now();
  const bool starts_value = token.token == Token::name || token.token == Token::string ||
                            token.token == Token::integer || token.token == Token::real || token.is_op("[") ||
                            token.is_op("{");
  if (token.is_op("(")) {
    MIAO_CHECK_OK(arguments(e));
  } else if (starts_value && !token.is_name("else") && !token.is_name("or") && !token.is_name("and")) {
    if (token.is_name("is")) return fail("tests cannot be chained with 'is'", token.line);
    MIAO_TRY(Expr * operand, primary());
    MIAO_TRY(operand, postfix(operand));
    e->arguments.push_back({Expr::Argument::Passing::positional, "", operand});
    MIAO_CHECK_OK(measure(e));
  }
  return negated ? make(ExprKind::logic_not, line, {e}) : Result<Expr*>(e);
}

}  // namespace miao::prep::jinja
