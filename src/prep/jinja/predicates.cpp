// The tests of Jinja2: x is name(argument).
#include "prep/jinja/callable.h"
#include "prep/jinja/operators.h"
#include "prep/jinja/print.h"
#include "prep/jinja/unicode.h"

namespace miao::prep::jinja {

namespace {

template <Kind kind>
Result<Value> is_kind(Machine&, const Value& self, const Bound&) {
  return Value(self.is(kind));
}
template <bool truth>
Result<Value> is_truth(Machine&, const Value& self, const Bound&) {
  return Value(self.is(Kind::boolean) && self.boolean() == truth);
}
template <Relation relation>
Result<Value> related(Machine& m, const Value& self, const Bound& b) {
  MIAO_TRY(const bool holds, relate(m.budget, relation, self, *b[0]));
  return Value(holds);
}

Result<Value> is_defined(Machine&, const Value& self, const Bound&) { return Value(!self.is(Kind::undefined)); }
Result<Value> is_number(Machine&, const Value& self, const Bound&) { return Value(self.is_number()); }

Result<Value> remainder_is(Machine& m, const Value& self, const Value& by, int64_t wanted) {
  MIAO_TRY(const Value rest, arithmetic(m.budget, Op::mod, self, by));
  MIAO_TRY(const bool same, equals(m.budget, rest, Value(wanted)));
  return Value(same);
}
Result<Value> is_odd(Machine& m, const Value& self, const Bound&) {
  return remainder_is(m, self, Value(int64_t{2}), 1);
}
Result<Value> is_even(Machine& m, const Value& self, const Bound&) {
  return remainder_is(m, self, Value(int64_t{2}), 0);
}
Result<Value> is_divisible(Machine& m, const Value& self, const Bound& b) { return remainder_is(m, self, *b[0], 0); }

Result<Value> is_iterable(Machine&, const Value& self, const Bound&) {
  return Value(Cursor::open(self).ok() || self.is(Kind::loop));
}
// Anything with a length and items: also strings, dicts and undefined values.
Result<Value> is_sequence(Machine&, const Value& self, const Bound&) {
  return Value(self.is(Kind::string) || self.is(Kind::list) || self.is(Kind::tuple) || self.is(Kind::dict) ||
               self.is(Kind::range) || self.is(Kind::undefined));
}
Result<Value> is_callable(Machine&, const Value& self, const Bound&) {
  return Value(self.is(Kind::callable) || self.is(Kind::joiner) || self.is(Kind::loop) || self.is(Kind::undefined));
}

Result<Value> is_same(Machine& m, const Value& self, const Bound& b) {
  const Value& other = *b[0];
  if (self.kind() != other.kind()) return Value(false);
  if (self.identity() || other.identity()) {
    if (!self.is(Kind::string)) return Value(self.identity() == other.identity());
  }
  MIAO_TRY(const bool same, equals(m.budget, self, other));
  return Value(same);
}

template <bool upper>
Result<Value> is_case(Machine& m, const Value& self, const Bound&) {
  MIAO_TRY(const Text text, to_text(m.budget, self));
  MIAO_CHECK_OK(m.budget.text(text.size()));
  bool cased = false;
  for (size_t at = 0; at < text.size();) {
    const char32_t c = next_code_point(text.view(), at);
    if (upper ? is_lower(c) : is_upper(c)) return Value(false);
    cased = cased || is_upper(c) || is_lower(c);
  }
  return Value(cased);
}

Result<Value> is_filter(Machine&, const Value& self, const Bound&) {
  return Value(self.is(Kind::string) && find_filter(self.text().view()) != nullptr);
}
Result<Value> is_test(Machine&, const Value& self, const Bound&) {
  return Value(self.is(Kind::string) && find_predicate(self.text().view()) != nullptr);
}
Result<Value> is_escaped(Machine&, const Value& self, const Bound&) {
  return Value(self.is(Kind::string) && self.text().markup);
}

constexpr Builtin kRows[] = {
    {"defined", "", 0, is_defined},
    {"undefined", "", 0, is_kind<Kind::undefined>},
    {"none", "", 0, is_kind<Kind::none>},
    {"string", "", 0, is_kind<Kind::string>},
    {"mapping", "", 0, is_kind<Kind::dict>},
    {"sequence", "", 0, is_sequence},
    {"iterable", "", 0, is_iterable},
    {"number", "", 0, is_number},
    {"integer", "", 0, is_kind<Kind::integer>},
    {"float", "", 0, is_kind<Kind::real>},
    {"boolean", "", 0, is_kind<Kind::boolean>},
    {"true", "", 0, is_truth<true>},
    {"false", "", 0, is_truth<false>},
    {"odd", "", 0, is_odd},
    {"even", "", 0, is_even},
    {"divisibleby", "num", 1, is_divisible},
    {"callable", "", 0, is_callable},
    {"sameas", "other", 1, is_same},
    {"lower", "", 0, is_case<false>},
    {"upper", "", 0, is_case<true>},
    {"filter", "", 0, is_filter},
    {"test", "", 0, is_test},
    {"escaped", "", 0, is_escaped},
    {"in", "seq", 1, related<Relation::in>},
    {"==", "other", 1, related<Relation::eq>},
    {"eq", "other", 1, related<Relation::eq>},
    {"equalto", "other", 1, related<Relation::eq>},
    {"!=", "other", 1, related<Relation::ne>},
    {"ne", "other", 1, related<Relation::ne>},
    {">", "other", 1, related<Relation::gt>},
    {"gt", "other", 1, related<Relation::gt>},
    {"greaterthan", "other", 1, related<Relation::gt>},
    {">=", "other", 1, related<Relation::ge>},
    {"ge", "other", 1, related<Relation::ge>},
    {"<", "other", 1, related<Relation::lt>},
    {"lt", "other", 1, related<Relation::lt>},
    {"lessthan", "other", 1, related<Relation::lt>},
    {"<=", "other", 1, related<Relation::le>},
    {"le", "other", 1, related<Relation::le>},
};

}  // namespace

const Builtin* find_predicate(std::string_view name) { return find_row(kRows, name); }

}  // namespace miao::prep::jinja
