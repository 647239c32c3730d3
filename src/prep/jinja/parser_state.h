// The parser's class, shared by its files: parser.cpp, parse_statement.cpp, parse_expression.cpp, parse_postfix.cpp.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "prep/jinja/ast.h"
#include "prep/jinja/lexer.h"

namespace miao::prep::jinja {

class Parser {
 public:
  Parser(Template& out, std::vector<Lexeme> lexemes) : out_(out), lexemes_(std::move(lexemes)) {
    for (const char* name : {"loop", "caller", "varargs", "kwargs"}) intern(name);
  }
  Result<void> run();

 private:
  using Names = std::initializer_list<std::string_view>;

  // Nesting of statements, brackets and prefix operators while parsing.
  struct Nesting {
    explicit Nesting(int& depth) : depth_(depth) { ++depth_; }
    ~Nesting() { --depth_; }
    int& depth_;
  };
  Result<void> check_depth() const;

  // Tokens.
  const Lexeme& now() const { return lexemes_[at_]; }
  const Lexeme& ahead() const { return lexemes_[std::min(at_ + 1, lexemes_.size() - 1)]; }
  void next() { at_ += at_ + 1 < lexemes_.size(); }
  bool skip_op(std::string_view op);
  bool skip_name(std::string_view name);
  Result<void> expect_op(std::string_view op);
  Result<void> expect_name(std::string_view name);
  Result<void> expect(Token token, std::string_view shown);
  Result<std::string> expect_any_name();
  Error fail(std::string message, int line = 0) const;
  Error unexpected(std::string_view wanted) const;

  // Nodes.
  uint32_t intern(std::string_view name);
  Result<uint32_t> name_id(std::string_view name, int line);
  Result<Expr*> make(ExprKind kind, int line, std::vector<Expr*> kids = {});
  Result<Stmt*> make(StmtKind kind, int line);
  Result<void> measure(Expr* e) const;

  // Expressions.
  Result<Expr*> expression(bool with_conditional = true);
  Result<Expr*> conditional();
  Result<Expr*> logic_or();
  Result<Expr*> logic_and();
  Result<Expr*> logic_not();
  Result<Expr*> comparison();
  Result<Expr*> sum();
  Result<Expr*> concat();
  Result<Expr*> product();
  Result<Expr*> power();
  Result<Expr*> unary(bool with_filter);
  Result<Expr*> primary();
  Result<Expr*> constant(Value value, int line);
  Result<Expr*> tuple(bool with_conditional, std::string_view end_name, bool parenthesized);
  Result<Expr*> list_literal();
  Result<Expr*> dict_literal();
  Result<Expr*> postfix(Expr* e);
  Result<Expr*> filters_and_tests(Expr* e);
  Result<Expr*> subscript(Expr* object);
  Result<Expr*> bracketed(Expr* object, int line);
  Result<Expr*> call(Expr* callee);
  Result<void> arguments(Expr* e);
  Result<Expr*> filter_chain(Expr* input, bool first_inline);
  Result<Expr*> test(Expr* input);
  bool tuple_ends(std::string_view end_name) const;

  // Assignment targets.
  Result<Expr*> target(bool with_namespace, std::string_view end_name);
  Result<Expr*> target_item(bool with_namespace);
  Result<uint32_t> target_name();

  // Statements.
  Result<void> body_until(Body& body, Names ends, int opened);
  Result<void> body(Body& body, Names ends);  // from behind the tag's words to the end tag's name
  Result<Stmt*> statement();
  Result<Stmt*> output_list();
  Result<Stmt*> set_statement();
  Result<Stmt*> if_statement();
  Result<Stmt*> for_statement();
  Result<Stmt*> with_statement();
  Result<Stmt*> macro_statement();
  Result<Stmt*> call_statement();
  Result<Stmt*> filter_statement();
  Result<Stmt*> block_statement();
  Result<Stmt*> generation_statement();
  Result<void> signature(MacroCode& macro);
  Result<void> macro_body(MacroCode& macro, Names ends);

  Template& out_;
  std::vector<Lexeme> lexemes_;
  size_t at_ = 0;
  int depth_ = 0;
  int loops_ = 0;                   // open loops that break and continue may leave
  bool soft_ = false;               // inside an `if`: unknown filters fail only when they run
  std::vector<MacroCode*> macros_;  // open macros and call blocks
  std::unordered_map<std::string, uint32_t> ids_;
  std::unordered_set<std::string> blocks_;
};

}  // namespace miao::prep::jinja
