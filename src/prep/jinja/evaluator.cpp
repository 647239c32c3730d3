// Expressions. Each node costs a step and one level of the evaluation depth, so that neither time nor stack can run
// away.
#include "prep/jinja/evaluator.h"

#include "prep/jinja/access.h"
#include "prep/jinja/lexer.h"
#include "prep/jinja/print.h"
#include "prep/jinja/unicode.h"

namespace miao::prep::jinja {

void Frame::set(uint32_t id, Value value) {
  for (auto& [key, old] : values) {
    if (key == id) {
      old = std::move(value);
      return;
    }
  }
  values.emplace_back(id, std::move(value));
}

const Value* Frame::find(uint32_t id) const {
  for (const auto& [key, value] : values) {
    if (key == id) return &value;
  }
  return nullptr;
}

Evaluator::Evaluator(const Template& program, Machine& machine, std::vector<Value> globals)
    : program_(program),
      machine_(machine),
      globals_(std::move(globals)),
      root_(std::make_shared<Frame>()),
      frame_(root_) {}

Evaluator::~Evaluator() {
  for (const FramePtr& frame : kept_) frame->values.clear();
  for (const auto& ns : machine_.namespaces) ns->entries.clear();
  machine_.namespaces.clear();
}

Result<Text> Evaluator::run() {
  Text out;
  MIAO_TRY(Flow flow, exec(program_.body, out));
  static_cast<void>(flow);
  return out;
}

Error Evaluator::located(Error error, int line) const {
  if (error.where.empty()) error.where = line_place(program_.place, line);
  return error;
}

Value Evaluator::lookup(uint32_t id) const {
  for (const Frame* frame = frame_.get(); frame; frame = frame->outer.get()) {
    if (const Value* v = frame->find(id)) return *v;
  }
  if (!globals_[id].is(Kind::undefined)) return globals_[id];
  return Value::undefined("'" + clipped(program_.names[id]) + "' is undefined");
}

Result<Value> Evaluator::eval(const Expr& e) {
  struct Level {
    explicit Level(int& d) : depth(d) { ++depth; }
    ~Level() { --depth; }
    int& depth;
  } level(machine_.budget.node_depth);
  if (machine_.budget.node_depth > kMaxEvaluation) {
    return located(type_error("template exceeds its budget of " + std::to_string(kMaxEvaluation) + " open nodes"),
                   e.line);
  }
  if (auto paid = machine_.budget.spend(1); !paid.ok()) return located(std::move(paid.error()), e.line);
  Result<Value> result = eval_node(e);
  if (!result.ok()) return located(std::move(result.error()), e.line);
  return result;
}

Result<Value> Evaluator::eval_node(const Expr& e) {
  switch (e.kind) {
    case ExprKind::constant:
      return e.value;
    case ExprKind::name:
      return lookup(e.id);
    case ExprKind::tuple:
      return eval_items(e, Kind::tuple);
    case ExprKind::list:
      return eval_items(e, Kind::list);
    case ExprKind::dict:
      return eval_dict(e);
    case ExprKind::conditional: {
      MIAO_TRY(const Value condition, eval(*e.kids[1]));
      if (truthy(condition)) return eval(*e.kids[0]);
      if (e.kids[2]) return eval(*e.kids[2]);
      return Value::undefined("the inline if-expression was false and has no else");
    }
    case ExprKind::logic_or:
    case ExprKind::logic_and: {
      MIAO_TRY(Value left, eval(*e.kids[0]));
      if (truthy(left) == (e.kind == ExprKind::logic_or)) return left;
      return eval(*e.kids[1]);
    }
    case ExprKind::logic_not: {
      MIAO_TRY(const Value operand, eval(*e.kids[0]));
      return Value(!truthy(operand));
    }
    case ExprKind::compare:
      return eval_compare(e);
    case ExprKind::arithmetic: {
      MIAO_TRY(const Value left, eval(*e.kids[0]));
      MIAO_TRY(const Value right, eval(*e.kids[1]));
      return arithmetic(machine_.budget, e.op, left, right);
    }
    case ExprKind::concat:
      return eval_concat(e);
    case ExprKind::sign: {
      MIAO_TRY(const Value operand, eval(*e.kids[0]));
      return negate(operand, e.negative);
    }
    case ExprKind::attribute: {
      MIAO_TRY(const Value object, eval(*e.kids[0]));
      return get_attribute(object, e.text);
    }
    case ExprKind::item: {
      MIAO_TRY(const Value object, eval(*e.kids[0]));
      MIAO_TRY(const Value key, eval(*e.kids[1]));
      return get_item(machine_, object, key);
    }
    case ExprKind::slice:
      return eval_slice(e);
    case ExprKind::call:
      return eval_call(e, nullptr);
    case ExprKind::filter:
      return eval_filter(e);
    case ExprKind::test:
      return eval_test(e);
    case ExprKind::ns_target:
      return type_error("assignment target used as a value");
  }
  return type_error("unknown expression");
}

Result<Value> Evaluator::eval_items(const Expr& e, Kind kind) {
  std::vector<Value> items;
  items.reserve(e.kids.size());
  for (const Expr* kid : e.kids) {
    MIAO_TRY(Value item, eval(*kid));
    items.push_back(std::move(item));
  }
  return make_list(kind, std::move(items));
}

Result<Value> Evaluator::eval_dict(const Expr& e) {
  auto dict = std::make_shared<DictObject>();
  for (size_t i = 0; i + 1 < e.kids.size(); i += 2) {
    MIAO_TRY(const Value key, eval(*e.kids[i]));
    MIAO_TRY(Value value, eval(*e.kids[i + 1]));
    MIAO_CHECK_OK(pay_for_key(machine_.budget, key));
    if (!dict->set(key, std::move(value))) return type_error("unhashable type: '" + type_name(key) + "'");
  }
  return make_dict(std::move(dict));
}

Result<Value> Evaluator::eval_compare(const Expr& e) {
  MIAO_TRY(Value left, eval(*e.kids[0]));
  for (size_t i = 0; i < e.relations.size(); ++i) {
    MIAO_TRY(Value right, eval(*e.kids[i + 1]));
    MIAO_TRY(const bool holds, relate(machine_.budget, e.relations[i], left, right));
    if (!holds) return Value(false);
    left = std::move(right);
  }
  return Value(true);
}

Result<Value> Evaluator::eval_concat(const Expr& e) {
  Text out;
  for (const Expr* kid : e.kids) {
    MIAO_TRY(const Value part, eval(*kid));
    MIAO_CHECK_OK(print(machine_.budget, out, part));
  }
  return Value(std::move(out));
}

Result<Value> Evaluator::eval_slice(const Expr& e) {
  MIAO_TRY(const Value object, eval(*e.kids[0]));
  Value bounds[3] = {Value::none(), Value::none(), Value::none()};
  for (size_t i = 0; i < 3; ++i) {
    if (e.kids[i + 1]) {
      MIAO_TRY(bounds[i], eval(*e.kids[i + 1]));
    }
  }
  return get_slice(machine_, object, bounds[0], bounds[1], bounds[2]);
}

Result<Value> Evaluator::eval_filter(const Expr& e) {
  Value input;
  if (e.kids[0]) {
    MIAO_TRY(input, eval(*e.kids[0]));
  } else {
    input = *block_text_;
  }
  if (!e.builtin) return type_error("no filter named '" + clipped(e.text) + "'");
  MIAO_TRY(const Arguments arguments, eval_arguments(e));
  return call_builtin(machine_, *e.builtin, input, arguments);
}

Result<Value> Evaluator::eval_test(const Expr& e) {
  MIAO_TRY(const Value input, eval(*e.kids[0]));
  if (!e.builtin) return type_error("no test named '" + clipped(e.text) + "'");
  MIAO_TRY(const Arguments arguments, eval_arguments(e));
  return call_builtin(machine_, *e.builtin, input, arguments);
}

}  // namespace miao::prep::jinja
