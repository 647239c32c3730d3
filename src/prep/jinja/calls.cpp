// Arguments, and calls of builtins, methods and macros.
#include "prep/jinja/access.h"
#include "prep/jinja/evaluator.h"
#include "prep/jinja/unicode.h"

namespace miao::prep::jinja {

Result<Arguments> Evaluator::eval_arguments(const Expr& e) {
  using Passing = Expr::Argument::Passing;
  Arguments result;
  for (const Expr::Argument& argument : e.arguments) {
    MIAO_TRY(Value value, eval(*argument.value));
    switch (argument.passing) {
      case Passing::positional:
        result.positional.push_back(std::move(value));
        break;
      case Passing::named:
        result.named.emplace_back(argument.name, std::move(value));
        break;
      case Passing::spread_list: {
        MIAO_TRY(std::vector<Value> items, to_vector(machine_.budget, value));
        for (Value& item : items) result.positional.push_back(std::move(item));
        break;
      }
      case Passing::spread_dict: {
        if (!value.is(Kind::dict)) return bad_operand("** needs a mapping", value);
        MIAO_CHECK_OK(machine_.budget.items(value.dict().entries.size()));
        for (const auto& [key, item] : value.dict().entries) {
          if (!key.is(Kind::string)) return bad_operand("keywords must be strings", key);
          result.named.emplace_back(key.text().bytes(), item);
        }
        break;
      }
    }
  }
  if (result.named.size() > 1) {
    std::unordered_map<std::string_view, int> seen;
    for (const auto& [name, value] : result.named) {
      if (++seen[name] > 1) return type_error("got keyword argument '" + clipped(name) + "' twice");
    }
  }
  return result;
}

Result<Value> Evaluator::eval_call(const Expr& e, const Value* caller) {
  MIAO_TRY(const Value callee, eval(*e.kids[0]));
  MIAO_TRY(Arguments arguments, eval_arguments(e));
  if (caller) arguments.named.emplace_back("caller", *caller);
  return call_value(callee, std::move(arguments));
}

Result<Value> Evaluator::call_value(const Value& callee, Arguments arguments) {
  switch (callee.kind()) {
    case Kind::callable: {
      const Callable& callable = callee.callable();
      if (callable.macro) return call_macro(callable, std::move(arguments));
      return call_builtin(machine_, *callable.builtin, callable.self, arguments);
    }
    case Kind::joiner: {
      auto& joiner = callee.as<JoinerObject>();
      if (std::exchange(joiner.used, true)) return joiner.separator;
      return Value::literal("");
    }
    case Kind::loop:
      return type_error("recursive loops are not supported; use a macro that calls itself");
    case Kind::undefined:
      return type_error(std::string(callee.why()));
    default:
      return type_error("'" + type_name(callee) + "' object is not callable");
  }
}

Value Evaluator::make_macro(const MacroCode& code) {
  auto macro = std::make_shared<Callable>();
  macro->name = code.name;
  macro->macro = &code;
  macro->frame = frame_;
  for (FramePtr frame = frame_; frame && !frame->kept; frame = frame->outer) {
    frame->kept = true;
    kept_.push_back(frame);
  }
  return Value::object(Kind::callable, std::move(macro));
}

Result<Value> Evaluator::call_macro(const Callable& macro, Arguments arguments) {
  const MacroCode& code = *macro.macro;
  struct Level {
    explicit Level(int& d) : depth(d) { ++depth; }
    ~Level() { --depth; }
    int& depth;
  } level(machine_.budget.macro_depth);
  if (machine_.budget.macro_depth > kMaxDepth) {
    return type_error("template exceeds its budget of " + std::to_string(kMaxDepth) + " nested macro calls");
  }
  const Value* saved_text = std::exchange(block_text_, nullptr);
  struct Restore {
    ~Restore() { slot = value; }
    const Value*& slot;
    const Value* value;
  } restore{block_text_, saved_text};

  Scope scope(*this, macro.frame);
  const std::string shown = "macro '" + clipped(macro.name) + "'";
  auto take_named = [&](std::string_view name) -> std::optional<Value> {
    for (auto it = arguments.named.begin(); it != arguments.named.end(); ++it) {
      if (it->first == name) {
        Value value = std::move(it->second);
        arguments.named.erase(it);
        return value;
      }
    }
    return std::nullopt;
  };
  bool caller_bound = false;
  std::vector<uint32_t> absent;
  for (size_t i = 0; i < code.params.size(); ++i) {
    const uint32_t id = code.params[i];
    caller_bound = caller_bound || id == kNameCaller;
    if (i < arguments.positional.size()) {
      frame_->set(id, std::move(arguments.positional[i]));
    } else if (std::optional<Value> named = take_named(program_.names[id])) {
      frame_->set(id, std::move(*named));
    } else {
      const size_t first_default = code.params.size() - code.defaults.size();
      if (i < first_default) {
        frame_->set(id, Value::undefined("parameter '" + clipped(program_.names[id]) + "' was not provided"));
      } else {
        MIAO_TRY(Value value, eval(*code.defaults[i - first_default]));
        frame_->set(id, std::move(value));
      }
    }
  }
  if (code.wants_caller && !caller_bound) {
    std::optional<Value> caller = take_named("caller");
    frame_->set(kNameCaller, caller ? std::move(*caller) : Value::undefined("no caller defined"));
  }
  if (code.wants_kwargs) {
    auto dict = std::make_shared<DictObject>();
    for (auto& [name, value] : arguments.named) dict->set(Value::literal(name), std::move(value));
    MIAO_TRY(Value kwargs, make_dict(std::move(dict)));
    frame_->set(kNameKwargs, std::move(kwargs));
  } else if (!arguments.named.empty()) {
    return type_error(shown + " takes no keyword argument '" + clipped(arguments.named[0].first) + "'");
  }
  std::vector<Value> rest;
  for (size_t i = code.params.size(); i < arguments.positional.size(); ++i)
    rest.push_back(std::move(arguments.positional[i]));
  if (code.wants_varargs) {
    MIAO_TRY(Value varargs, make_list(Kind::tuple, std::move(rest), "tuple"));
    frame_->set(kNameVarargs, std::move(varargs));
  } else if (!rest.empty()) {
    return type_error(shown + " takes not more than " + std::to_string(code.params.size()) + " arguments");
  }
  Text out;
  MIAO_TRY(Flow flow, exec(code.body, out));
  static_cast<void>(flow);
  return Value(std::move(out));
}

}  // namespace miao::prep::jinja
