// Global functions that templates may call.
#include <time.h>

#include <algorithm>

#include "prep/jinja/callable.h"
#include "prep/jinja/print.h"
#include "prep/jinja/unicode.h"

namespace miao::prep::jinja {

namespace {

Result<Value> do_range(Machine& m, const Value&, const Bound& b) {
  const auto& given = b.all.positional;
  if (given.empty() || given.size() > 3 || !b.all.named.empty()) return type_error("range() takes 1 to 3 integers");
  int64_t numbers[3] = {0, 0, 1};
  for (size_t i = 0; i < given.size(); ++i) {
    MIAO_TRY(numbers[i], want_integer(given[i], "range argument"));
  }
  if (given.size() == 1) std::swap(numbers[0], numbers[1]);
  const auto [start, stop, step] = numbers;
  if (step == 0) return type_error("range() step must not be zero");
  uint64_t count = 0;
  if (step > 0 ? start < stop : start > stop) {
    const uint64_t span = step > 0 ? static_cast<uint64_t>(stop) - static_cast<uint64_t>(start)
                                   : static_cast<uint64_t>(start) - static_cast<uint64_t>(stop);
    const uint64_t stride = step > 0 ? static_cast<uint64_t>(step) : ~static_cast<uint64_t>(step) + 1;
    count = (span - 1) / stride + 1;
  }
  MIAO_CHECK_OK(m.budget.fits_list(count));
  auto range = std::make_shared<RangeObject>();
  range->start = start;
  range->stop = stop;
  range->step = step;
  range->count = static_cast<int64_t>(count);
  return Value::object(Kind::range, std::move(range));
}

// dict(mapping or pairs, name=value ...)
Result<std::shared_ptr<DictObject>> build_dict(Machine& m, const Bound& b) {
  auto dict = std::make_shared<DictObject>();
  if (b.all.positional.size() > 1) return type_error("dict expected at most 1 argument");
  if (!b.all.positional.empty()) {
    const Value& from = b.all.positional[0];
    if (from.is(Kind::dict)) {
      MIAO_CHECK_OK(m.budget.items(from.dict().entries.size()));
      for (const auto& [key, value] : from.dict().entries) dict->set(key, value);
    } else {
      MIAO_TRY(const std::vector<Value> pairs, to_vector(m.budget, from));
      for (const Value& pair : pairs) {
        MIAO_TRY(std::vector<Value> two, to_vector(m.budget, pair));
        if (two.size() != 2) return type_error("dict needs pairs");
        MIAO_CHECK_OK(pay_for_key(m.budget, two[0]));
        if (!dict->set(two[0], std::move(two[1]))) return type_error("unhashable type: '" + type_name(two[0]) + "'");
      }
    }
  }
  for (const auto& [name, value] : b.all.named) dict->set(Value::literal(name), value);
  return dict;
}

Result<Value> do_dict(Machine& m, const Value&, const Bound& b) {
  MIAO_TRY(std::shared_ptr<DictObject> dict, build_dict(m, b));
  return make_dict(std::move(dict));
}

Result<Value> do_namespace(Machine& m, const Value&, const Bound& b) {
  MIAO_TRY(const std::shared_ptr<DictObject> dict, build_dict(m, b));
  if (dict->entries.size() > kMaxNames) {
    return type_error("a namespace holds at most " + std::to_string(kMaxNames) + " attributes");
  }
  auto ns = std::make_shared<NamespaceObject>();
  for (const auto& [key, value] : dict->entries) {
    if (!key.is(Kind::string)) return type_error("namespace attributes must be strings");
    if (key.text().view().starts_with('_')) return type_error("namespace attributes may not start with an underscore");
    ns->entries.emplace_back(key.text().bytes(), value);
  }
  m.namespaces.push_back(ns);
  return Value::object(Kind::ns, std::move(ns));
}

Result<Value> do_joiner(Machine&, const Value&, const Bound& b) {
  auto joiner = std::make_shared<JoinerObject>();
  joiner->separator = b[0] ? *b[0] : Value::literal(", ");
  joiner->depth = joiner->separator.depth() + 1;
  if (joiner->depth > kMaxDepth) return type_error("value nested too deeply");
  return Value::object(Kind::joiner, std::move(joiner));
}

Result<Value> do_cycler(Machine&, const Value&, const Bound& b) {
  if (b.all.positional.empty()) return type_error("at least one item has to be provided");
  auto cycler = std::make_shared<CyclerObject>();
  cycler->items = b.all.positional;
  for (const Value& item : cycler->items) cycler->depth = std::max(cycler->depth, item.depth() + 1);
  if (cycler->depth > kMaxDepth) return type_error("value nested too deeply");
  return Value::object(Kind::cycler, std::move(cycler));
}

Result<Value> do_raise(Machine& m, const Value&, const Bound& b) {
  MIAO_TRY(const Text text, to_text(m.budget, *b[0]));
  return Error{Code::invalid, "the template refuses this conversation: " + clipped(text.view(), 500), ""};
}

Result<Value> do_strftime(Machine& m, const Value&, const Bound& b) {
  MIAO_TRY(const Text* format, want_text(*b[0], "date format"));
  if (format->size() > 200) return type_error("date format is longer than 200 bytes");
  if (format->empty()) return Value::literal("");
  const time_t seconds = m.now;
  tm parts{};
  if (!localtime_r(&seconds, &parts)) return type_error("date is out of range");
  char buffer[4096];
  const size_t size = strftime(buffer, sizeof buffer, format->bytes().c_str(), &parts);
  return Value(Text(std::string(buffer, size), format->trusted()));
}

constexpr Builtin kRows[] = {
    {"range", "*", 0, do_range},
    {"namespace", "*", 0, do_namespace},
    {"raise_exception", "message", 1, do_raise},
    {"strftime_now", "format", 1, do_strftime},
    {"dict", "*", 0, do_dict},
    {"joiner", "sep", 0, do_joiner},
    {"cycler", "*", 0, do_cycler},
};

}  // namespace

const Builtin* find_function(std::string_view name) { return find_row(kRows, name); }

}  // namespace miao::prep::jinja
