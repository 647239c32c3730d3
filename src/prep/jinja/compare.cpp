// Equality and order as Python defines them. Shared items can make a small value look exponentially large, so every
// compared pair costs a step.
#include <cmath>

#include "prep/jinja/value.h"

namespace miao::prep::jinja {

namespace {

Result<bool> equal_items(Budget& budget, const std::vector<Value>& a, const std::vector<Value>& b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    MIAO_TRY(const bool same, equals(budget, a[i], b[i]));
    if (!same) return false;
  }
  return true;
}

Result<bool> equal_dicts(Budget& budget, const DictObject& a, const DictObject& b) {
  if (a.entries.size() != b.entries.size()) return false;
  for (const auto& [key, value] : a.entries) {
    const Value* other = b.find(key);
    if (!other) return false;
    MIAO_TRY(const bool same, equals(budget, value, *other));
    if (!same) return false;
  }
  return true;
}

int sign(std::partial_ordering order) { return order < 0 ? -1 : order > 0 ? 1 : 0; }

}  // namespace

Result<bool> equals(Budget& budget, const Value& a, const Value& b) {
  MIAO_CHECK_OK(budget.spend(1));
  if (a.is_number() && b.is_number()) {
    if (a.is_whole() && b.is_whole()) return a.integer() == b.integer();
    return a.real() == b.real();
  }
  if (a.kind() != b.kind()) return false;
  switch (a.kind()) {
    case Kind::undefined:
    case Kind::none:
      return true;
    case Kind::string:
      MIAO_CHECK_OK(budget.text(std::min(a.text().size(), b.text().size())));
      return a.text().view() == b.text().view();
    case Kind::list:
    case Kind::tuple:
      if (a.identity() == b.identity()) return true;
      return equal_items(budget, a.items(), b.items());
    case Kind::view:
      if (type_name(a) != type_name(b) || type_name(a) == "dict_values") return a.identity() == b.identity();
      return equal_items(budget, a.items(), b.items());
    case Kind::dict:
      if (a.identity() == b.identity()) return true;
      return equal_dicts(budget, a.dict(), b.dict());
    case Kind::range: {
      const RangeObject &x = a.range(), &y = b.range();
      if (x.count != y.count || x.count == 0) return x.count == y.count;
      return x.start == y.start && (x.count == 1 || x.step == y.step);
    }
    default:
      return a.identity() == b.identity();
  }
}

Result<int> compare(Budget& budget, const Value& a, const Value& b) {
  MIAO_CHECK_OK(budget.spend(1));
  if (a.is(Kind::undefined)) return type_error(std::string(a.why()));
  if (b.is(Kind::undefined)) return type_error(std::string(b.why()));
  if (a.is_number() && b.is_number()) {
    if (a.is_whole() && b.is_whole()) return (a.integer() > b.integer()) - (a.integer() < b.integer());
    const double x = a.real(), y = b.real();
    if (std::isnan(x) || std::isnan(y)) return static_cast<int>(std::isnan(x)) - static_cast<int>(std::isnan(y));
    return sign(x <=> y);
  }
  if (a.is(Kind::string) && b.is(Kind::string)) {
    MIAO_CHECK_OK(budget.text(std::min(a.text().size(), b.text().size())));
    const int order = a.text().view().compare(b.text().view());  // UTF-8 bytes order like code points
    return (order > 0) - (order < 0);
  }
  if ((a.is(Kind::list) && b.is(Kind::list)) || (a.is(Kind::tuple) && b.is(Kind::tuple))) {
    const auto &x = a.items(), &y = b.items();
    for (size_t i = 0; i < std::min(x.size(), y.size()); ++i) {
      MIAO_TRY(const bool same, equals(budget, x[i], y[i]));
      if (!same) return compare(budget, x[i], y[i]);
    }
    return (x.size() > y.size()) - (x.size() < y.size());
  }
  return type_error("'" + type_name(a) + "' and '" + type_name(b) + "' have no order; compare values of one type");
}

}  // namespace miao::prep::jinja
