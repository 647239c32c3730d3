// Things that can be called: builtin functions, filters, tests and methods (one row each in a table), macros, and the
// arguments that go to them.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "prep/jinja/value.h"

namespace miao::prep::jinja {

struct MacroCode;
struct Frame;

// What builtins may use of the render they run in.
struct Machine {
  Budget& budget;
  int64_t now = 0;  // Unix seconds
  // Namespaces can hold each other in circles; they live, and are emptied, until the render ends.
  std::vector<std::shared_ptr<NamespaceObject>> namespaces;
};

struct Arguments {
  std::vector<Value> positional;
  std::vector<std::pair<std::string, Value>> named;
};

// Arguments by parameter index; null where the caller gave none.
struct Bound {
  std::array<const Value*, 6> at{};
  const Arguments& all;
  const Value* operator[](size_t i) const { return at[i]; }
};

// `self` is the piped value of a filter or test and the object of a method.
using BuiltinFn = Result<Value> (*)(Machine&, const Value& self, const Bound&);

struct Builtin {
  std::string_view name;
  std::string_view params;  // names separated by spaces; "*" takes anything, which the function reads from Bound::all
  int required = 0;         // how many of them must be given
  BuiltinFn call = nullptr;
};

// Checks arguments against the row and calls it; errors name the builtin.
Result<Value> call_builtin(Machine& machine, const Builtin& row, const Value& self, const Arguments& arguments);

// Null when there is no such row.
const Builtin* find_row(std::span<const Builtin> rows, std::string_view name);
const Builtin* find_filter(std::string_view name);
const Builtin* find_predicate(std::string_view name);  // tests: x is name
const Builtin* find_function(std::string_view name);   // range, dict, namespace ...
const Builtin* find_method(const Value& self, std::string_view name);
// True for methods that change their object; they are refused.
bool is_mutator(const Value& self, std::string_view name);

struct Callable : Object {
  std::string name;
  const Builtin* builtin = nullptr;
  Value self;  // of a method
  const MacroCode* macro = nullptr;
  std::shared_ptr<Frame> frame;  // where the macro was defined
};

// Parameter conversions; `what` names the parameter in the error.
Result<int64_t> want_integer(const Value& v, std::string_view what);
Result<const Text*> want_text(const Value& v, std::string_view what);
// The integer of an optional parameter.
Result<int64_t> integer_or(const Value* v, int64_t otherwise, std::string_view what);
inline bool flag_or(const Value* v, bool otherwise) { return v ? truthy(*v) : otherwise; }

}  // namespace miao::prep::jinja
