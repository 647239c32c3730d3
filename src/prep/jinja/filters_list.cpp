// Filters over sequences that need no key function, and the filter lookup.
#include <algorithm>

#include "prep/jinja/access.h"
#include "prep/jinja/filters.h"
#include "prep/jinja/operators.h"
#include "prep/jinja/print.h"
#include "prep/jinja/unicode.h"

namespace miao::prep::jinja {

namespace {

Result<Value> do_default(Machine&, const Value& self, const Bound& b) {
  const bool absent = self.is(Kind::undefined) || (flag_or(b[1], false) && !truthy(self));
  if (!absent) return self;
  return b[0] ? *b[0] : Value::literal("");
}

Result<Value> do_length(Machine& m, const Value& self, const Bound&) {
  if (self.is(Kind::string)) MIAO_CHECK_OK(m.budget.text(self.text().size()));
  MIAO_TRY(const int64_t count, length(self));
  return Value(count);
}

Result<Value> do_list(Machine& m, const Value& self, const Bound&) {
  MIAO_TRY(std::vector<Value> items, to_vector(m.budget, self));
  return make_list(Kind::list, std::move(items));
}

Result<Value> do_first(Machine&, const Value& self, const Bound&) {
  MIAO_TRY(Cursor cursor, Cursor::open(self));
  Value item;
  MIAO_TRY(const bool any, cursor.next(item));
  if (any) return item;
  return Value::undefined("no first item, sequence was empty");
}

Result<Value> do_last(Machine& m, const Value& self, const Bound&) {
  if (self.is(Kind::generator)) return bad_operand("last needs a sequence; add |list", self);
  MIAO_TRY(std::vector<Value> items, to_vector(m.budget, self));
  if (!items.empty()) return items.back();
  return Value::undefined("no last item, sequence was empty");
}

Result<Value> do_join(Machine& m, const Value& self, const Bound& b) {
  Text separator;
  if (b[0]) {
    MIAO_TRY(separator, to_text(m.budget, *b[0]));
  }
  MIAO_TRY(const std::vector<Value> items, to_vector(m.budget, self));
  Text out;
  for (size_t i = 0; i < items.size(); ++i) {
    if (i > 0) {
      MIAO_CHECK_OK(m.budget.text(separator.size()));
      out.append(separator);
    }
    if (b[1] && !b[1]->is(Kind::none)) {
      MIAO_TRY(const Value item, get_path(m, items[i], *b[1]));
      MIAO_CHECK_OK(print(m.budget, out, item));
    } else {
      MIAO_CHECK_OK(print(m.budget, out, items[i]));
    }
  }
  return Value(std::move(out));
}

Result<void> fill_items(Machine& m, const Value& self, const Bound&, std::vector<Value>& pairs) {
  if (self.is(Kind::undefined)) return {};
  if (!self.is(Kind::dict)) return type_error("items needs a mapping, got " + type_name(self));
  MIAO_CHECK_OK(m.budget.items(self.dict().entries.size()));
  for (const auto& [key, value] : self.dict().entries) {
    MIAO_TRY(Value pair, make_list(Kind::tuple, {key, value}, "tuple"));
    pairs.push_back(std::move(pair));
  }
  return {};
}

Result<Value> do_reverse(Machine& m, const Value& self, const Bound&) {
  if (self.is(Kind::string)) {
    return get_slice(m, self, Value::none(), Value::none(), Value(int64_t{-1}));
  }
  MIAO_TRY(std::vector<Value> items, to_vector(m.budget, self));
  std::reverse(items.begin(), items.end());
  if (self.is(Kind::generator)) return make_list(Kind::list, std::move(items));
  return make_generator(std::move(items));
}

Result<void> fill_batch(Machine& m, const Value& self, const Bound& b, std::vector<Value>& batches) {
  MIAO_TRY(const int64_t count, want_integer(*b[0], "linecount"));
  MIAO_TRY(const std::vector<Value> items, to_vector(m.budget, self));
  const bool fills = b[1] && !b[1]->is(Kind::none);
  std::vector<Value> batch;
  auto close = [&]() -> Result<void> {
    MIAO_TRY(Value list, make_list(Kind::list, std::move(batch)));
    batches.push_back(std::move(list));
    batch.clear();
    return {};
  };
  for (const Value& item : items) {
    if (static_cast<int64_t>(batch.size()) == count) MIAO_CHECK_OK(close());
    batch.push_back(item);
  }
  if (!batch.empty()) {
    if (fills && static_cast<int64_t>(batch.size()) < count) {
      MIAO_CHECK_OK(m.budget.items(static_cast<size_t>(count)));
      batch.resize(static_cast<size_t>(count), *b[1]);
    }
    MIAO_CHECK_OK(close());
  }
  return {};
}

Result<void> fill_slice(Machine& m, const Value& self, const Bound& b, std::vector<Value>& result) {
  MIAO_TRY(const int64_t slices, want_integer(*b[0], "slices"));
  MIAO_TRY(const std::vector<Value> items, to_vector(m.budget, self));
  if (slices == 0) return type_error("slice: division by zero");
  if (slices < 0) return {};
  MIAO_CHECK_OK(m.budget.items(static_cast<size_t>(slices)));
  const auto size = static_cast<int64_t>(items.size());
  const int64_t each = size / slices, longer = size % slices;
  for (int64_t i = 0, at = 0; i < slices; ++i) {
    const int64_t count = each + (i < longer);
    std::vector<Value> part(items.begin() + at, items.begin() + at + count);
    at += count;
    if (b[1] && !b[1]->is(Kind::none) && i >= longer) part.push_back(*b[1]);
    MIAO_TRY(Value list, make_list(Kind::list, std::move(part)));
    result.push_back(std::move(list));
  }
  return {};
}

Result<Value> do_attr(Machine&, const Value& self, const Bound& b) {
  MIAO_TRY(const Text* name, want_text(*b[0], "attribute name"));
  if (self.is(Kind::dict) && !find_method(self, name->view())) {
    return Value::undefined("'dict object' has no attribute '" + clipped(name->bytes()) + "'");
  }
  if (self.is(Kind::undefined)) return Value::undefined(std::string(self.why()));
  return get_attribute(self, name->view());
}

Result<Value> do_sum(Machine& m, const Value& self, const Bound& b) {
  Value total = b[1] ? *b[1] : Value(int64_t{0});
  if (total.is(Kind::string)) return type_error("sum cannot add strings; use join");
  MIAO_TRY(const std::vector<Value> items, to_vector(m.budget, self));
  for (const Value& item : items) {
    Value part = item;
    if (b[0] && !b[0]->is(Kind::none)) {
      MIAO_TRY(part, get_path(m, item, *b[0]));
    }
    MIAO_TRY(total, arithmetic(m.budget, Op::add, total, part));
  }
  return total;
}

constexpr Builtin kRows[] = {
    {"length", "", 0, do_length},
    {"default", "default_value boolean", 0, do_default},
    {"join", "d attribute", 0, do_join},
    {"list", "", 0, do_list},
    {"first", "", 0, do_first},
    {"last", "", 0, do_last},
    {"items", "", 0, lazily<fill_items>},
    {"count", "", 0, do_length},
    {"d", "default_value boolean", 0, do_default},
    {"reverse", "", 0, do_reverse},
    {"batch", "linecount fill_with", 1, lazily<fill_batch>},
    {"slice", "slices fill_with", 1, lazily<fill_slice>},
    {"attr", "name", 1, do_attr},
    {"sum", "attribute start", 0, do_sum},
};

}  // namespace

std::span<const Builtin> list_filters() { return kRows; }

const Builtin* find_filter(std::string_view name) {
  for (const auto rows : {text_filters(), list_filters(), select_filters(), number_filters()}) {
    if (const Builtin* row = find_row(rows, name)) return row;
  }
  return nullptr;
}

}  // namespace miao::prep::jinja
