// Filters with a key or a test for each item: map, select, sort, min, max, unique, groupby, dictsort.
#include <algorithm>
#include <unordered_set>

#include "prep/jinja/access.h"
#include "prep/jinja/filters.h"
#include "prep/jinja/text_ops.h"
#include "prep/jinja/unicode.h"

namespace miao::prep::jinja {

namespace {

struct Keyed {
  Value key;
  Value item;
};

bool given(const Value* v) { return v && !v->is(Kind::none); }

Result<Value> fold_case(Machine& m, Value v, bool case_sensitive) {
  if (case_sensitive || !v.is(Kind::string)) return v;
  MIAO_CHECK_OK(m.budget.text(v.text().size()));
  return Value(lower(v.text()));
}

// The item's key: the attribute at `path` (the item itself without one), in lower case unless case matters.
Result<Value> key_of(Machine& m, const Value& item, const Value* path, bool case_sensitive,
                     const Value* otherwise = nullptr) {
  Value key = item;
  if (given(path)) {
    MIAO_TRY(key, get_path(m, item, *path));
    if (key.is(Kind::undefined) && given(otherwise)) key = *otherwise;
  }
  return fold_case(m, std::move(key), case_sensitive);
}

// As key_of, for a comma-separated list of attributes: a list of keys.
Result<Value> keys_of(Machine& m, const Value& item, const Value* path, bool case_sensitive) {
  if (!given(path) || !path->is(Kind::string)) return key_of(m, item, path, case_sensitive);
  std::vector<Value> keys;
  std::string_view rest = path->text().view();
  while (true) {
    const size_t comma = rest.find(',');
    const Value part = Value::literal(std::string(rest.substr(0, comma)));
    MIAO_TRY(Value key, key_of(m, item, &part, case_sensitive));
    keys.push_back(std::move(key));
    if (comma == std::string_view::npos) break;
    rest.remove_prefix(comma + 1);
  }
  return make_list(Kind::list, std::move(keys));
}

// A stable merge sort; std::stable_sort cannot stop at a comparison that fails.
Result<void> sort_keyed(Machine& m, std::vector<Keyed>& items, bool reverse) {
  std::vector<Keyed> other(items.size());
  for (size_t width = 1; width < items.size(); width *= 2) {
    for (size_t low = 0; low < items.size(); low += 2 * width) {
      const size_t middle = std::min(low + width, items.size()), high = std::min(low + 2 * width, items.size());
      for (size_t i = low, j = middle, k = low; k < high; ++k) {
        bool right = i >= middle;
        if (!right && j < high) {
          MIAO_TRY(const int order, compare(m.budget, items[j].key, items[i].key));
          right = reverse ? order > 0 : order < 0;
        }
        other[k] = std::move(items[right ? j++ : i++]);
      }
    }
    items.swap(other);
  }
  return {};
}

Result<Value> do_sort(Machine& m, const Value& self, const Bound& b) {
  MIAO_TRY(std::vector<Value> items, to_vector(m.budget, self));
  std::vector<Keyed> keyed;
  for (Value& item : items) {
    MIAO_TRY(Value key, keys_of(m, item, b[2], flag_or(b[1], false)));
    keyed.push_back({std::move(key), std::move(item)});
  }
  MIAO_CHECK_OK(sort_keyed(m, keyed, flag_or(b[0], false)));
  for (size_t i = 0; i < items.size(); ++i) items[i] = std::move(keyed[i].item);
  return make_list(Kind::list, std::move(items));
}

Result<Value> do_dictsort(Machine& m, const Value& self, const Bound& b) {
  if (!self.is(Kind::dict)) return bad_operand("dictsort needs a mapping", self);
  bool by_value = false;
  if (b[1]) {
    MIAO_TRY(const Text* by, want_text(*b[1], "by"));
    if (by->bytes() != "key" && by->bytes() != "value") return type_error("dictsort: by must be 'key' or 'value'");
    by_value = by->bytes() == "value";
  }
  MIAO_CHECK_OK(m.budget.items(self.dict().entries.size()));
  std::vector<Keyed> keyed;
  for (const auto& [key, value] : self.dict().entries) {
    MIAO_TRY(Value pair, make_list(Kind::tuple, {key, value}, "tuple"));
    MIAO_TRY(Value sort_key, fold_case(m, by_value ? value : key, flag_or(b[0], false)));
    keyed.push_back({std::move(sort_key), std::move(pair)});
  }
  MIAO_CHECK_OK(sort_keyed(m, keyed, flag_or(b[2], false)));
  std::vector<Value> items;
  for (Keyed& k : keyed) items.push_back(std::move(k.item));
  return make_list(Kind::list, std::move(items));
}

template <int kSign>
Result<Value> extreme(Machine& m, const Value& self, const Bound& b) {
  MIAO_TRY(const std::vector<Value> items, to_vector(m.budget, self));
  if (items.empty()) return Value::undefined("no aggregated item, sequence was empty");
  size_t best = 0;
  MIAO_TRY(Value best_key, key_of(m, items[0], b[1], flag_or(b[0], false)));
  for (size_t i = 1; i < items.size(); ++i) {
    MIAO_TRY(Value key, key_of(m, items[i], b[1], flag_or(b[0], false)));
    MIAO_TRY(const int order, compare(m.budget, key, best_key));
    if (order * kSign > 0) {
      best = i;
      best_key = std::move(key);
    }
  }
  return items[best];
}

Result<void> fill_unique(Machine& m, const Value& self, const Bound& b, std::vector<Value>& result) {
  MIAO_TRY(const std::vector<Value> items, to_vector(m.budget, self));
  std::unordered_set<std::string> seen;
  for (const Value& item : items) {
    MIAO_TRY(const Value key, key_of(m, item, b[1], flag_or(b[0], false)));
    MIAO_CHECK_OK(pay_for_key(m.budget, key));
    std::string hash = hash_key(key);
    if (hash.empty()) return type_error("unhashable type: '" + type_name(key) + "'");
    if (seen.insert(std::move(hash)).second) result.push_back(item);
  }
  return {};
}

Result<Value> do_groupby(Machine& m, const Value& self, const Bound& b) {
  const bool case_sensitive = flag_or(b[2], false);
  MIAO_TRY(std::vector<Value> items, to_vector(m.budget, self));
  std::vector<Keyed> keyed;
  for (Value& item : items) {
    MIAO_TRY(Value key, key_of(m, item, b[0], case_sensitive, b[1]));
    keyed.push_back({std::move(key), std::move(item)});
  }
  MIAO_CHECK_OK(sort_keyed(m, keyed, false));
  std::vector<Value> groups;
  for (size_t i = 0; i < keyed.size();) {
    std::vector<Value> members;
    MIAO_TRY(Value grouper, key_of(m, keyed[i].item, b[0], true, b[1]));
    const size_t first = i;
    for (bool same = true; i < keyed.size(); ++i) {
      MIAO_TRY(same, equals(m.budget, keyed[i].key, keyed[first].key));
      if (!same) break;
      members.push_back(keyed[i].item);
    }
    MIAO_TRY(Value list, make_list(Kind::list, std::move(members)));
    MIAO_TRY(Value group, make_list(Kind::tuple, {std::move(grouper), std::move(list)}, "group"));
    groups.push_back(std::move(group));
  }
  return make_list(Kind::list, std::move(groups));
}

// Arguments behind the first `skip` positions.
Arguments rest_of(const Arguments& all, size_t skip) {
  Arguments rest;
  rest.positional.assign(all.positional.begin() + static_cast<std::ptrdiff_t>(skip), all.positional.end());
  rest.named = all.named;
  return rest;
}

Result<void> map_attribute(Machine& m, const std::vector<Value>& items, const Arguments& all,
                           std::vector<Value>& result) {
  const Value *path = nullptr, *otherwise = nullptr;
  for (const auto& [name, value] : all.named) {
    if (name == "attribute")
      path = &value;
    else if (name == "default")
      otherwise = &value;
    else
      return type_error("map: unexpected keyword argument '" + clipped(name) + "'");
  }
  for (const Value& item : items) {
    MIAO_TRY(Value value, key_of(m, item, path, true, otherwise));
    result.push_back(std::move(value));
  }
  return {};
}

Result<void> fill_map(Machine& m, const Value& self, const Bound& b, std::vector<Value>& result) {
  if (!truthy(self)) return {};
  MIAO_TRY(const std::vector<Value> items, to_vector(m.budget, self));
  if (b.all.positional.empty()) {
    if (b.all.named.empty()) return type_error("map needs a filter name or attribute=");
    return map_attribute(m, items, b.all, result);
  }
  MIAO_TRY(const Text* name, want_text(b.all.positional[0], "filter name"));
  const Builtin* filter = find_filter(name->view());
  if (!filter) return type_error("no filter named '" + clipped(name->bytes()) + "'");
  const Arguments rest = rest_of(b.all, 1);
  for (const Value& item : items) {
    MIAO_TRY(Value value, call_builtin(m, *filter, item, rest));
    result.push_back(std::move(value));
  }
  return {};
}

template <bool keep, bool by_attribute>
Result<void> choose(Machine& m, const Value& self, const Bound& b, std::vector<Value>& result) {
  if (!truthy(self)) return {};
  const auto& arguments = b.all.positional;
  const size_t first = by_attribute ? 1 : 0;
  if (arguments.size() < first) return type_error("missing attribute name");
  const Builtin* test = nullptr;
  if (arguments.size() > first) {
    MIAO_TRY(const Text* name, want_text(arguments[first], "test name"));
    test = find_predicate(name->view());
    if (!test) return type_error("no test named '" + clipped(name->bytes()) + "'");
  }
  const Arguments rest = rest_of(b.all, test ? first + 1 : arguments.size());
  MIAO_TRY(const std::vector<Value> items, to_vector(m.budget, self));
  for (const Value& item : items) {
    Value subject = item;
    if (by_attribute) {
      MIAO_TRY(subject, get_path(m, item, arguments[0]));
    }
    if (test) {
      MIAO_TRY(subject, call_builtin(m, *test, subject, rest));
    }
    if (truthy(subject) == keep) result.push_back(item);
  }
  return {};
}

constexpr Builtin kRows[] = {
    {"map", "*", 0, lazily<fill_map>},
    {"selectattr", "*", 0, lazily<choose<true, true>>},
    {"rejectattr", "*", 0, lazily<choose<false, true>>},
    {"select", "*", 0, lazily<choose<true, false>>},
    {"reject", "*", 0, lazily<choose<false, false>>},
    {"sort", "reverse case_sensitive attribute", 0, do_sort},
    {"dictsort", "case_sensitive by reverse", 0, do_dictsort},
    {"unique", "case_sensitive attribute", 0, lazily<fill_unique>},
    {"groupby", "attribute default case_sensitive", 1, do_groupby},
    {"min", "case_sensitive attribute", 0, extreme<-1>},
    {"max", "case_sensitive attribute", 0, extreme<1>},
};

}  // namespace

std::span<const Builtin> select_filters() { return kRows; }

}  // namespace miao::prep::jinja
