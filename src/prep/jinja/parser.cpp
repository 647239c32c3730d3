// The bookkeeping of the parser (tokens, node arenas and their limits), bodies, and the choice of a statement.
#include "prep/jinja/parser.h"

#include <algorithm>

#include "prep/jinja/parser_state.h"
#include "prep/jinja/unicode.h"

namespace miao::prep::jinja {

Result<void> Parser::check_depth() const {
  if (depth_ > kMaxDepth) return fail("template nested deeper than " + std::to_string(kMaxDepth) + " levels");
  return {};
}

bool Parser::skip_op(std::string_view op) {
  const bool found = now().is_op(op);
  if (found) next();
  return found;
}

bool Parser::skip_name(std::string_view name) {
  const bool found = now().is_name(name);
  if (found) next();
  return found;
}

Result<void> Parser::expect_op(std::string_view op) {
  if (!skip_op(op)) return unexpected("'" + std::string(op) + "'");
  return {};
}

Result<void> Parser::expect_name(std::string_view name) {
  if (!skip_name(name)) return unexpected("'" + std::string(name) + "'");
  return {};
}

Result<void> Parser::expect(Token token, std::string_view shown) {
  if (now().token != token) return unexpected(shown);
  next();
  return {};
}

Result<std::string> Parser::expect_any_name() {
  if (now().token != Token::name) return unexpected("a name");
  std::string name = now().text;
  next();
  return name;
}

Error Parser::fail(std::string message, int line) const {
  return Error{Code::invalid, std::move(message), line_place(out_.place, line > 0 ? line : now().line)};
}

Error Parser::unexpected(std::string_view wanted) const {
  return fail("expected " + std::string(wanted) + ", found " + now().shown());
}

uint32_t Parser::intern(std::string_view name) {
  const auto [row, added] = ids_.emplace(std::string(name), static_cast<uint32_t>(out_.names.size()));
  if (added) {
    out_.names.emplace_back(name);
    out_.read.push_back(false);
  }
  return row->second;
}

Result<uint32_t> Parser::name_id(std::string_view name, int line) {
  const uint32_t id = intern(name);
  if (id >= kMaxNames) return fail("template uses more than " + std::to_string(kMaxNames) + " names", line);
  return id;
}

Result<void> Parser::measure(Expr* e) const {
  int height = 0;
  for (const Expr* kid : e->kids) height = std::max(height, kid ? kid->height : 0);
  for (const auto& argument : e->arguments) height = std::max(height, argument.value->height);
  e->height = height + 1;
  if (e->height > 2 * kMaxDepth)
    return fail("expression nested deeper than " + std::to_string(2 * kMaxDepth) + " levels", e->line);
  return {};
}

Result<Expr*> Parser::make(ExprKind kind, int line, std::vector<Expr*> kids) {
  if (out_.exprs.size() + out_.stmts.size() >= kMaxNodes)
    return fail("template has more than " + std::to_string(kMaxNodes) + " nodes");
  Expr* e = &out_.exprs.emplace_back();
  e->kind = kind;
  e->line = line;
  e->kids = std::move(kids);
  MIAO_CHECK_OK(measure(e));
  return e;
}

Result<Stmt*> Parser::make(StmtKind kind, int line) {
  if (out_.exprs.size() + out_.stmts.size() >= kMaxNodes)
    return fail("template has more than " + std::to_string(kMaxNodes) + " nodes");
  Stmt* s = &out_.stmts.emplace_back();
  s->kind = kind;
  s->line = line;
  return s;
}

Result<void> Parser::run() {
  MIAO_CHECK_OK(body_until(out_.body, {}, 1));
  return {};
}

// Statements up to a tag named in `ends`, whose name is left as the current token; without ends, to the end.
Result<void> Parser::body_until(Body& body, Names ends, int opened) {
  Nesting nesting(depth_);
  MIAO_CHECK_OK(check_depth());
  while (now().token != Token::end) {
    const int line = now().line;
    if (now().token == Token::block_begin) {
      next();
      if (now().token == Token::name && std::find(ends.begin(), ends.end(), now().text) != ends.end()) return {};
      MIAO_TRY(Stmt * s, statement());
      body.push_back(s);
      MIAO_CHECK_OK(expect(Token::block_end, "'%}'"));
      continue;
    }
    if (body.empty() || body.back()->kind != StmtKind::output) {
      MIAO_TRY(Stmt * s, make(StmtKind::output, line));
      body.push_back(s);
    }
    if (now().token == Token::data) {
      MIAO_TRY(Expr * text, constant(Value::literal(now().text), line));
      next();
      body.back()->exprs.push_back(text);
    } else {
      MIAO_CHECK_OK(expect(Token::variable_begin, "text or a tag"));
      MIAO_TRY(Expr * e, tuple(true, "", false));
      body.back()->exprs.push_back(e);
      MIAO_CHECK_OK(expect(Token::variable_end, "'}}'"));
    }
  }
  if (ends.size() == 0) return {};
  return fail("block is not closed; add {% " + std::string(*std::prev(ends.end())) + " %}", opened);
}

Result<void> Parser::body(Body& body, Names ends) {
  const int opened = now().line;
  skip_op(":");
  MIAO_CHECK_OK(expect(Token::block_end, "'%}'"));
  return body_until(body, ends, opened);
}

Result<Stmt*> Parser::statement() {
  if (now().token != Token::name) return unexpected("a tag name");
  const std::string tag = now().text;
  const int line = now().line;
  next();
  if (tag == "if") return if_statement();
  if (tag == "for") return for_statement();
  if (tag == "set") return set_statement();
  if (tag == "macro") return macro_statement();
  if (tag == "generation") return generation_statement();
  if (tag == "call") return call_statement();
  if (tag == "filter") return filter_statement();
  if (tag == "with") return with_statement();
  if (tag == "block") return block_statement();
  if (tag == "print") return output_list();
  if (tag == "break" || tag == "continue") {
    if (loops_ == 0) return fail("'" + tag + "' outside of a loop", line);
    return make(tag == "break" ? StmtKind::loop_break : StmtKind::loop_continue, line);
  }
  for (const char* refused : {"include", "import", "from", "extends", "autoescape"}) {
    if (tag == refused) {
      Error error = fail("'" + tag + "' is not supported in chat templates; put the text into this template", line);
      error.code = Code::unsupported;
      return error;
    }
  }
  return fail("unknown tag '" + clipped(tag) + "'", line);
}

Result<std::shared_ptr<const Template>> parse(std::string_view source, std::string_view place) {
  if (source.size() > kMaxSource) {
    return Error{Code::invalid, "template is larger than " + std::to_string(kMaxSource) + " bytes", std::string(place)};
  }
  auto result = std::make_shared<Template>();
  result->source = source;
  result->place = place;
  MIAO_TRY(std::vector<Lexeme> lexemes, tokenize(source, place));
  MIAO_CHECK_OK(Parser(*result, std::move(lexemes)).run());
  return std::shared_ptr<const Template>(std::move(result));
}

}  // namespace miao::prep::jinja
