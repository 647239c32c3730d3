// Walks the tree of a template. Scopes are shared because macros keep the one they were defined in; a scope that a
// macro kept is registered, and emptied when the render ends, so that no circle of references outlives it.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "prep/jinja/ast.h"
#include "prep/jinja/loop.h"

namespace miao::prep::jinja {

struct Frame {
  std::shared_ptr<Frame> outer;
  std::vector<std::pair<uint32_t, Value>> values;
  bool kept = false;

  void set(uint32_t id, Value value);
  const Value* find(uint32_t id) const;  // here only
};

class Evaluator {
 public:
  // `globals` by name id; undefined where the caller set nothing.
  Evaluator(const Template& program, Machine& machine, std::vector<Value> globals);
  ~Evaluator();
  Evaluator(const Evaluator&) = delete;
  Evaluator& operator=(const Evaluator&) = delete;

  Result<Text> run();

 private:
  enum class Flow : uint8_t { normal, leave_loop, next_item };
  using FramePtr = std::shared_ptr<Frame>;

  // Opens a scope for the lifetime of the object.
  struct Scope {
    Scope(Evaluator& e, FramePtr outer) : evaluator(e), saved(e.frame_) {
      e.frame_ = std::make_shared<Frame>();
      e.frame_->outer = std::move(outer);
    }
    ~Scope() { evaluator.frame_ = std::move(saved); }
    Evaluator& evaluator;
    FramePtr saved;
  };

  Error located(Error error, int line) const;
  Value lookup(uint32_t id) const;

  // Expressions (evaluator.cpp).
  Result<Value> eval(const Expr& e);
  Result<Value> eval_node(const Expr& e);
  Result<Value> eval_items(const Expr& e, Kind kind);
  Result<Value> eval_dict(const Expr& e);
  Result<Value> eval_compare(const Expr& e);
  Result<Value> eval_concat(const Expr& e);
  Result<Value> eval_slice(const Expr& e);
  Result<Value> eval_filter(const Expr& e);
  Result<Value> eval_test(const Expr& e);

  // Calls (calls.cpp).
  Result<Arguments> eval_arguments(const Expr& e);
  Result<Value> eval_call(const Expr& e, const Value* caller);
  Result<Value> call_value(const Value& callee, Arguments arguments);
  Result<Value> call_macro(const Callable& macro, Arguments arguments);
  Value make_macro(const MacroCode& code);

  // Statements (statements.cpp).
  Result<Flow> exec(const Body& body, Text& out);
  Result<Flow> exec_one(const Stmt& s, Text& out);
  Result<Flow> exec_loop(const Stmt& s, Text& out);
  Result<Flow> exec_branch(const Stmt& s, Text& out);
  Result<Flow> exec_with(const Stmt& s, Text& out);
  Result<Flow> exec_filter(const Stmt& s, Text& out);
  Result<Flow> exec_assign_block(const Stmt& s);
  Result<void> exec_output(const Stmt& s, Text& out);
  Result<void> exec_call(const Stmt& s, Text& out);
  Result<void> assign(const Expr& target, const Value& value);

  const Template& program_;
  Machine& machine_;
  std::vector<Value> globals_;
  FramePtr root_;
  FramePtr frame_;
  std::vector<FramePtr> kept_;
  const Value* block_text_ = nullptr;  // input of the filter chain of a filter or set block
};

}  // namespace miao::prep::jinja
