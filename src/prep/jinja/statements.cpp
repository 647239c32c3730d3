// Statements write to a text; blocks that capture (set, filter, macros, call) give their body a text of its own.
#include "prep/jinja/evaluator.h"
#include "prep/jinja/print.h"

namespace miao::prep::jinja {

Result<Evaluator::Flow> Evaluator::exec(const Body& body, Text& out) {
  struct Level {
    explicit Level(int& d) : depth(d) { ++depth; }
    ~Level() { --depth; }
    int& depth;
  } level(machine_.budget.node_depth);
  for (const Stmt* s : body) {
    if (machine_.budget.node_depth > kMaxEvaluation) {
      return located(type_error("template exceeds its budget of " + std::to_string(kMaxEvaluation) + " open nodes"),
                     s->line);
    }
    Result<Flow> flow = exec_one(*s, out);
    if (!flow.ok()) return located(std::move(flow.error()), s->line);
    if (*flow != Flow::normal) return flow;
  }
  return Flow::normal;
}

Result<Evaluator::Flow> Evaluator::exec_one(const Stmt& s, Text& out) {
  MIAO_CHECK_OK(machine_.budget.spend(1));
  switch (s.kind) {
    case StmtKind::output:
      MIAO_CHECK_OK(exec_output(s, out));
      return Flow::normal;
    case StmtKind::assign: {
      MIAO_TRY(const Value value, eval(*s.exprs[0]));
      MIAO_CHECK_OK(assign(*s.target, value));
      return Flow::normal;
    }
    case StmtKind::assign_block:
      return exec_assign_block(s);
    case StmtKind::branch:
      return exec_branch(s, out);
    case StmtKind::loop:
      return exec_loop(s, out);
    case StmtKind::with:
      return exec_with(s, out);
    case StmtKind::macro:
      frame_->set(s.id, make_macro(s.macro));
      return Flow::normal;
    case StmtKind::call:
      MIAO_CHECK_OK(exec_call(s, out));
      return Flow::normal;
    case StmtKind::filter:
      return exec_filter(s, out);
    case StmtKind::scope: {
      Scope scope(*this, frame_);
      return exec(s.body, out);
    }
    case StmtKind::block: {
      Scope scope(*this, root_);
      return exec(s.body, out);
    }
    case StmtKind::loop_break:
      return Flow::leave_loop;
    case StmtKind::loop_continue:
      return Flow::next_item;
  }
  return Flow::normal;
}

Result<void> Evaluator::exec_output(const Stmt& s, Text& out) {
  for (const Expr* e : s.exprs) {
    if (e->kind == ExprKind::constant) {
      MIAO_CHECK_OK(machine_.budget.spend(1));
      MIAO_CHECK_OK(print(machine_.budget, out, e->value));
      continue;
    }
    MIAO_TRY(const Value value, eval(*e));
    auto printed = print(machine_.budget, out, value);
    if (!printed.ok()) return located(std::move(printed.error()), e->line);
  }
  return {};
}

Result<void> Evaluator::assign(const Expr& target, const Value& value) {
  if (target.kind == ExprKind::name) {
    frame_->set(target.id, value);
    return {};
  }
  if (target.kind == ExprKind::ns_target) {
    const Value ns = lookup(target.id);
    if (!ns.is(Kind::ns)) return type_error("cannot assign attribute on non-namespace object");
    if (target.text.starts_with('_')) return type_error("namespace attributes may not start with an underscore");
    MIAO_CHECK_OK(machine_.budget.items(ns.ns().entries.size()));
    ns.ns().set(target.text, value);
    return {};
  }
  MIAO_TRY(const std::vector<Value> items, to_vector(machine_.budget, value));
  if (items.size() != target.kids.size()) {
    return type_error("cannot unpack " + std::to_string(items.size()) + " values into " +
                      std::to_string(target.kids.size()) + " names");
  }
  for (size_t i = 0; i < items.size(); ++i) MIAO_CHECK_OK(assign(*target.kids[i], items[i]));
  return {};
}

Result<Evaluator::Flow> Evaluator::exec_branch(const Stmt& s, Text& out) {
  for (const Stmt::Arm& arm : s.arms) {
    if (arm.condition) {
      MIAO_TRY(const Value condition, eval(*arm.condition));
      if (!truthy(condition)) continue;
    }
    return exec(arm.body, out);
  }
  return Flow::normal;
}

Result<Evaluator::Flow> Evaluator::exec_loop(const Stmt& s, Text& out) {
  MIAO_TRY(const Value items, eval(*s.exprs[0]));
  auto state = std::make_shared<LoopState>();
  struct Close {
    ~Close() { state.close(); }
    LoopState& state;
  } close{*state};
  MIAO_TRY(state->source, Cursor::open(items));
  if (const Expr* filter = s.exprs[1]) {
    const FramePtr outer = frame_;
    state->filter = [this, filter, outer, &s](const Value& item) -> Result<bool> {
      Scope scope(*this, outer);
      MIAO_CHECK_OK(assign(*s.target, item));
      MIAO_TRY(const Value keep, eval(*filter));
      return truthy(keep);
    };
  }
  const Value loop = Value::object(Kind::loop, state);
  bool any = false;
  while (true) {
    MIAO_CHECK_OK(machine_.budget.spend(1));
    MIAO_TRY(const bool more, state->advance());
    if (!more) break;
    any = true;
    Scope scope(*this, frame_);
    frame_->set(kNameLoop, loop);
    MIAO_CHECK_OK(assign(*s.target, state->current));
    MIAO_TRY(const Flow flow, exec(s.body, out));
    if (flow == Flow::leave_loop) return Flow::normal;
  }
  if (any || s.otherwise.empty()) return Flow::normal;
  Scope scope(*this, frame_);
  return exec(s.otherwise, out);
}

Result<Evaluator::Flow> Evaluator::exec_with(const Stmt& s, Text& out) {
  std::vector<Value> values;
  for (const Expr* e : s.exprs) {
    MIAO_TRY(Value value, eval(*e));
    values.push_back(std::move(value));
  }
  Scope scope(*this, frame_);
  for (size_t i = 0; i < values.size(); ++i) frame_->set(s.macro.params[i], std::move(values[i]));
  return exec(s.body, out);
}

Result<Evaluator::Flow> Evaluator::exec_filter(const Stmt& s, Text& out) {
  Scope scope(*this, frame_);
  Text captured;
  MIAO_TRY(const Flow flow, exec(s.body, captured));
  if (flow != Flow::normal) return flow;
  const Value input(std::move(captured));
  const Value* outer = std::exchange(block_text_, &input);
  Result<Value> value = eval(*s.exprs[0]);
  block_text_ = outer;
  if (!value.ok()) return std::move(value.error());
  MIAO_CHECK_OK(print(machine_.budget, out, *value));
  return Flow::normal;
}

Result<Evaluator::Flow> Evaluator::exec_assign_block(const Stmt& s) {
  Value value;
  {
    Scope scope(*this, frame_);
    Text captured;
    MIAO_TRY(const Flow flow, exec(s.body, captured));
    if (flow != Flow::normal) return flow;
    value = Value(std::move(captured));
    if (s.exprs[0]) {
      const Value input = value;
      const Value* outer = std::exchange(block_text_, &input);
      Result<Value> filtered = eval(*s.exprs[0]);
      block_text_ = outer;
      if (!filtered.ok()) return std::move(filtered.error());
      value = std::move(*filtered);
    }
  }
  MIAO_CHECK_OK(assign(*s.target, value));
  return Flow::normal;
}

Result<void> Evaluator::exec_call(const Stmt& s, Text& out) {
  const Value caller = make_macro(s.macro);
  MIAO_TRY(const Value value, eval_call(*s.exprs[0], &caller));
  return print(machine_.budget, out, value);
}

}  // namespace miao::prep::jinja
