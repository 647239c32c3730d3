// Binding of arguments to parameter names, the same for every builtin.
#include "prep/jinja/callable.h"

#include <algorithm>

namespace miao::prep::jinja {

namespace {

// Index of `name` in a space-separated list, or -1.
int parameter_index(std::string_view params, std::string_view name) {
  for (int index = 0; !params.empty(); ++index) {
    const size_t space = params.find(' ');
    if (params.substr(0, space) == name) return index;
    if (space == std::string_view::npos) break;
    params.remove_prefix(space + 1);
  }
  return -1;
}

}  // namespace

Result<Value> call_builtin(Machine& machine, const Builtin& row, const Value& self, const Arguments& arguments) {
  MIAO_CHECK_OK(machine.budget.spend(1));
  Bound bound{.all = arguments};
  const std::string name(row.name);
  if (row.params != "*") {
    const size_t count =
        row.params.empty() ? 0 : 1 + static_cast<size_t>(std::count(row.params.begin(), row.params.end(), ' '));
    if (arguments.positional.size() > count) {
      return type_error(name + "() takes at most " + std::to_string(count) + " arguments");
    }
    for (size_t i = 0; i < arguments.positional.size(); ++i) bound.at[i] = &arguments.positional[i];
    for (const auto& [key, value] : arguments.named) {
      const int index = parameter_index(row.params, key);
      if (index < 0) return type_error(name + "() has no parameter '" + key + "'");
      if (bound.at[static_cast<size_t>(index)]) return type_error(name + "() got parameter '" + key + "' twice");
      bound.at[static_cast<size_t>(index)] = &value;
    }
    for (int i = 0; i < row.required; ++i) {
      if (!bound.at[static_cast<size_t>(i)]) {
        return type_error(name + "() needs " + std::to_string(row.required) + " arguments (" + std::string(row.params) +
                          ")");
      }
    }
  }
  return row.call(machine, self, bound);
}

const Builtin* find_row(std::span<const Builtin> rows, std::string_view name) {
  for (const Builtin& row : rows) {
    if (row.name == name) return &row;
  }
  return nullptr;
}

Result<int64_t> want_integer(const Value& v, std::string_view what) {
  if (v.is_whole()) return v.integer();
  return bad_operand(std::string(what) + " must be an integer", v);
}

Result<const Text*> want_text(const Value& v, std::string_view what) {
  if (v.is(Kind::string)) return &v.text();
  return bad_operand(std::string(what) + " must be a string", v);
}

Result<int64_t> integer_or(const Value* v, int64_t otherwise, std::string_view what) {
  if (!v) return otherwise;
  return want_integer(*v, what);
}

}  // namespace miao::prep::jinja
