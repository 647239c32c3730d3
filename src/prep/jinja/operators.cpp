// Integer results outside 64 bits are errors, as are divisions by zero; nothing traps.
#include "prep/jinja/operators.h"

#include <cmath>

#include "prep/jinja/format.h"
#include "prep/jinja/markup.h"
#include "prep/jinja/search.h"

namespace miao::prep::jinja {

namespace {

constexpr const char* kSigns[] = {"+", "-", "*", "/", "//", "%", "**"};

Error overflow() { return type_error("integer result does not fit 64 bits"); }
Error zero_division() { return type_error("division by zero"); }

Result<Value> power(int64_t base, int64_t exponent) {
  if (exponent < 0) {
    if (base == 0) return zero_division();
    return Value(std::pow(static_cast<double>(base), static_cast<double>(exponent)));
  }
  int64_t result = 1;
  while (exponent > 0) {
    if ((exponent & 1) && __builtin_mul_overflow(result, base, &result)) return overflow();
    exponent >>= 1;
    if (exponent > 0 && __builtin_mul_overflow(base, base, &base)) return overflow();
  }
  return Value(result);
}

Result<Value> whole(Op op, int64_t a, int64_t b) {
  int64_t r = 0;
  switch (op) {
    case Op::add:
      return __builtin_add_overflow(a, b, &r) ? Result<Value>(overflow()) : Value(r);
    case Op::sub:
      return __builtin_sub_overflow(a, b, &r) ? Result<Value>(overflow()) : Value(r);
    case Op::mul:
      return __builtin_mul_overflow(a, b, &r) ? Result<Value>(overflow()) : Value(r);
    case Op::pow:
      return power(a, b);
    default:
      break;
  }
  if (b == 0) return zero_division();
  if (op == Op::div) return Value(static_cast<double>(a) / static_cast<double>(b));
  if (b == -1) {  // INT64_MIN / -1 would trap
    if (op == Op::mod) return Value(int64_t{0});
    return __builtin_sub_overflow(int64_t{0}, a, &r) ? Result<Value>(overflow()) : Value(r);
  }
  const int64_t quotient = a / b, rest = a % b;
  const bool down = rest != 0 && ((rest < 0) != (b < 0));  // Python rounds towards minus infinity
  return op == Op::floordiv ? Value(quotient - down) : Value(down ? rest + b : rest);
}

Result<Value> fractional(Op op, double a, double b) {
  switch (op) {
    case Op::add:
      return Value(a + b);
    case Op::sub:
      return Value(a - b);
    case Op::mul:
      return Value(a * b);
    case Op::pow: {
      if (a == 0 && b < 0) return zero_division();
      if (a < 0 && b != std::floor(b)) return type_error("power of a negative number with a fraction");
      const double r = std::pow(a, b);
      if (std::isinf(r) && !std::isinf(a) && !std::isinf(b)) return type_error("result too large");
      return Value(r);
    }
    default:
      break;
  }
  if (b == 0) return zero_division();
  if (op == Op::div) return Value(a / b);
  double rest = std::fmod(a, b);
  if (rest != 0 && ((rest < 0) != (b < 0))) rest += b;
  if (op == Op::mod) return Value(rest);
  return Value(std::floor((a - rest) / b + 0.5));
}

Result<Value> repeat(Budget& budget, const Value& v, int64_t times) {
  const size_t count = times < 0 ? 0 : static_cast<size_t>(times);
  const size_t size = v.is(Kind::string) ? v.text().size() : v.items().size();
  const size_t total = size != 0 && count > SIZE_MAX / 2 / size ? SIZE_MAX / 2 : size * count;
  if (v.is(Kind::string)) {
    MIAO_CHECK_OK(budget.text(total));
    Text text;
    text.markup = v.text().markup;
    if (size > 0) text.append_times(v.text(), count);
    return Value(std::move(text));
  }
  MIAO_CHECK_OK(budget.items(total));
  std::vector<Value> items;
  items.reserve(total);
  for (size_t i = 0; size > 0 && i < count; ++i) items.insert(items.end(), v.items().begin(), v.items().end());
  return make_list(v.kind(), std::move(items));
}

Result<Value> join_lists(Budget& budget, const Value& a, const Value& b) {
  MIAO_CHECK_OK(budget.items(a.items().size() + b.items().size()));
  std::vector<Value> items;
  items.reserve(a.items().size() + b.items().size());
  items.insert(items.end(), a.items().begin(), a.items().end());
  items.insert(items.end(), b.items().begin(), b.items().end());
  return make_list(a.kind(), std::move(items));
}

Result<Value> join_texts(Budget& budget, const Text& a, const Text& b) {
  MIAO_CHECK_OK(budget.text(a.size() + b.size()));
  Text text;
  text.reserve(a.size() + b.size());
  text.markup = a.markup || b.markup;
  text.append(text.markup && !a.markup ? escaped(a) : a);
  text.append(text.markup && !b.markup ? escaped(b) : b);
  MIAO_CHECK_OK(budget.fits(text.size()));
  return Value(std::move(text));
}

bool repeatable(const Value& v) { return v.is(Kind::string) || v.is(Kind::list) || v.is(Kind::tuple); }

}  // namespace

Result<Value> arithmetic(Budget& budget, Op op, const Value& a, const Value& b) {
  if (a.is_number() && b.is_number()) {
    if (a.is_whole() && b.is_whole()) return whole(op, a.integer(), b.integer());
    return fractional(op, a.real(), b.real());
  }
  if (op == Op::add) {
    if (a.is(Kind::string) && b.is(Kind::string)) return join_texts(budget, a.text(), b.text());
    if (a.kind() == b.kind() && (a.is(Kind::list) || a.is(Kind::tuple))) return join_lists(budget, a, b);
  }
  if (op == Op::mul) {
    if (repeatable(a) && b.is_whole()) return repeat(budget, a, b.integer());
    if (repeatable(b) && a.is_whole()) return repeat(budget, b, a.integer());
  }
  if (op == Op::mod && a.is(Kind::string)) return format_percent(budget, a.text(), b);
  for (const Value* v : {&a, &b}) {
    if (v->is(Kind::undefined)) return type_error(std::string(v->why()));
  }
  return type_error(std::string("cannot compute ") + type_name(a) + " " + kSigns[static_cast<int>(op)] + " " +
                    type_name(b));
}

Result<Value> negate(const Value& v, bool minus) {
  if (v.is(Kind::real)) return Value(minus ? -v.real() : v.real());
  if (!v.is_whole()) return bad_operand("a sign needs a number", v);
  return minus ? whole(Op::sub, 0, v.integer()) : Value(v.integer());
}

Result<bool> contains(Budget& budget, const Value& container, const Value& item) {
  switch (container.kind()) {
    case Kind::string: {
      if (!item.is(Kind::string)) return bad_operand("'in <string>' requires string as left operand", item);
      MIAO_CHECK_OK(budget.text(container.text().size()));
      return find_first(container.text().view(), item.text().view()) != std::string_view::npos;
    }
    case Kind::dict:
      MIAO_CHECK_OK(pay_for_key(budget, item));
      if (hash_key(item).empty()) return type_error("unhashable type: '" + type_name(item) + "'");
      return container.dict().find(item) != nullptr;
    default: {
      MIAO_TRY(Cursor cursor, Cursor::open(container));
      for (Value each;;) {
        MIAO_TRY(const bool more, cursor.next(each));
        if (!more) return false;
        MIAO_TRY(const bool same, equals(budget, each, item));
        if (same) return true;
      }
    }
  }
}

Result<bool> relate(Budget& budget, Relation relation, const Value& a, const Value& b) {
  switch (relation) {
    case Relation::eq:
      return equals(budget, a, b);
    case Relation::in:
      return contains(budget, b, a);
    case Relation::ne: {
      MIAO_TRY(const bool same, equals(budget, a, b));
      return !same;
    }
    case Relation::not_in: {
      MIAO_TRY(const bool found, contains(budget, b, a));
      return !found;
    }
    default:
      break;
  }
  if (a.is_number() && b.is_number() && (std::isnan(a.real()) || std::isnan(b.real()))) return false;
  MIAO_TRY(const int order, compare(budget, a, b));
  switch (relation) {
    case Relation::lt:
      return order < 0;
    case Relation::le:
      return order <= 0;
    case Relation::gt:
      return order > 0;
    default:
      return order >= 0;
  }
}

}  // namespace miao::prep::jinja
