// Methods of dicts, lists, ranges, loops and cyclers. Nothing here changes a dict or a list.
#include "prep/jinja/methods.h"

#include <algorithm>

#include "prep/jinja/loop.h"

namespace miao::prep::jinja {

namespace {

Result<Value> dict_items(Machine& m, const Value& self, const Bound&) {
  MIAO_CHECK_OK(m.budget.items(self.dict().entries.size()));
  std::vector<Value> pairs;
  for (const auto& [key, value] : self.dict().entries) {
    MIAO_TRY(Value pair, make_list(Kind::tuple, {key, value}, "tuple"));
    pairs.push_back(std::move(pair));
  }
  return make_list(Kind::view, std::move(pairs), "dict_items");
}

template <bool keys>
Result<Value> dict_side(Machine& m, const Value& self, const Bound&) {
  MIAO_CHECK_OK(m.budget.items(self.dict().entries.size()));
  std::vector<Value> side;
  for (const auto& [key, value] : self.dict().entries) side.push_back(keys ? key : value);
  return make_list(Kind::view, std::move(side), keys ? "dict_keys" : "dict_values");
}

Result<Value> dict_get(Machine& m, const Value& self, const Bound& b) {
  MIAO_CHECK_OK(pay_for_key(m.budget, *b[0]));
  if (hash_key(*b[0]).empty()) return type_error("unhashable type: '" + type_name(*b[0]) + "'");
  if (const Value* v = self.dict().find(*b[0])) return *v;
  return b[1] ? *b[1] : Value::none();
}

Result<Value> same_object(Machine&, const Value& self, const Bound&) { return self; }  // a copy nobody can change

Result<Value> list_index(Machine& m, const Value& self, const Bound& b) {
  const auto& items = self.items();
  const auto size = static_cast<int64_t>(items.size());
  MIAO_TRY(int64_t start, integer_or(b[1], 0, "start"));
  MIAO_TRY(int64_t stop, integer_or(b[2], size, "stop"));
  if (start < 0) start = std::max<int64_t>(0, start < -size ? 0 : start + size);
  if (stop < 0) stop = stop < -size ? 0 : stop + size;
  for (int64_t i = start; i < std::min(stop, size); ++i) {
    MIAO_TRY(const bool same, equals(m.budget, items[static_cast<size_t>(i)], *b[0]));
    if (same) return Value(i);
  }
  return type_error("index: value is not in list");
}

Result<Value> list_count(Machine& m, const Value& self, const Bound& b) {
  int64_t count = 0;
  for (const Value& item : self.items()) {
    MIAO_TRY(const bool same, equals(m.budget, item, *b[0]));
    count += same;
  }
  return Value(count);
}

Result<Value> loop_cycle(Machine&, const Value& self, const Bound& b) {
  if (b.all.positional.empty()) return type_error("no items for cycling given");
  return b.all.positional[static_cast<size_t>(self.as<LoopState>().index0) % b.all.positional.size()];
}

Result<Value> loop_changed(Machine& m, const Value& self, const Bound& b) {
  auto& loop = self.as<LoopState>();
  bool same = loop.changed_called && loop.changed_value.size() == b.all.positional.size();
  for (size_t i = 0; same && i < b.all.positional.size(); ++i) {
    MIAO_TRY(same, equals(m.budget, loop.changed_value[i], b.all.positional[i]));
  }
  if (same) return Value(false);
  loop.changed_called = true;
  loop.changed_value = b.all.positional;
  return Value(true);
}

Result<Value> cycler_next(Machine&, const Value& self, const Bound&) {
  auto& cycler = self.as<CyclerObject>();
  Value current = cycler.items[cycler.at];
  cycler.at = (cycler.at + 1) % cycler.items.size();
  return current;
}

Result<Value> cycler_reset(Machine&, const Value& self, const Bound&) {
  self.as<CyclerObject>().at = 0;
  return Value::none();
}

constexpr Builtin kDict[] = {
    {"get", "key default", 1, dict_get}, {"items", "", 0, dict_items}, {"keys", "", 0, dict_side<true>},
    {"values", "", 0, dict_side<false>}, {"copy", "", 0, same_object},
};
constexpr Builtin kList[] = {
    {"index", "value start stop", 1, list_index},
    {"count", "value", 1, list_count},
    {"copy", "", 0, same_object},
};
constexpr Builtin kLoop[] = {{"cycle", "*", 0, loop_cycle}, {"changed", "*", 0, loop_changed}};
constexpr Builtin kCycler[] = {{"next", "", 0, cycler_next}, {"reset", "", 0, cycler_reset}};

}  // namespace

const Builtin* find_method(const Value& self, std::string_view name) {
  switch (self.kind()) {
    case Kind::string:
      return find_row(text_methods(), name);
    case Kind::dict:
      return find_row(kDict, name);
    case Kind::list:
      return find_row(kList, name);
    case Kind::tuple:
      return name == "copy" ? nullptr : find_row(kList, name);
    case Kind::loop:
      return find_row(kLoop, name);
    case Kind::cycler:
      return find_row(kCycler, name);
    default:
      return nullptr;
  }
}

bool is_mutator(const Value& self, std::string_view name) {
  static constexpr std::string_view kOfDict[] = {"clear", "pop", "popitem", "setdefault", "update"};
  static constexpr std::string_view kOfList[] = {"append", "clear", "pop",    "reverse",
                                                 "insert", "sort",  "extend", "remove"};
  if (self.is(Kind::dict)) return std::find(std::begin(kOfDict), std::end(kOfDict), name) != std::end(kOfDict);
  if (self.is(Kind::list)) return std::find(std::begin(kOfList), std::end(kOfList), name) != std::end(kOfList);
  return false;
}

}  // namespace miao::prep::jinja
