// Lookup never fails on a missing name: it gives an undefined value that carries the reason. Only using an undefined
// value as an object is an error.
#include "prep/jinja/access.h"

#include <charconv>

#include "prep/jinja/loop.h"
#include "prep/jinja/print.h"
#include "prep/jinja/unicode.h"

namespace miao::prep::jinja {

namespace {

std::string shown(std::string_view name) { return "'" + clipped(name) + "'"; }

Value missing_attribute(const Value& object, std::string_view name) {
  return Value::undefined("'" + type_name(object) + " object' has no attribute " + shown(name));
}

Value bound_method(const Value& object, const Builtin& row) {
  auto method = std::make_shared<Callable>();
  method->name = row.name;
  method->builtin = &row;
  method->self = object;
  method->depth = object.depth();
  return Value::object(Kind::callable, std::move(method));
}

// What getattr(object, name) gives, or nullopt when there is no such attribute.
Result<std::optional<Value>> own_attribute(const Value& object, std::string_view name) {
  if (name.starts_with("__"))
    return std::optional(Value::undefined("access to attribute " + shown(name) + " is unsafe"));
  if (is_mutator(object, name)) {
    return std::optional(Value::undefined("method " + shown(name) + " of '" + type_name(object) +
                                          "' changes the object and is not allowed; build a new one with +"));
  }
  if (object.is(Kind::ns)) {
    if (const Value* v = object.ns().find(name)) return std::optional(*v);
    return std::optional<Value>();
  }
  if (object.is(Kind::loop)) {
    MIAO_TRY(std::optional<Value> own, object.as<LoopState>().attribute(name));
    if (own) return own;
  }
  if (object.is(Kind::cycler) && name == "current") {
    const auto& cycler = object.as<CyclerObject>();
    return std::optional(cycler.items[cycler.at]);
  }
  if (object.is(Kind::callable) && object.callable().macro && name == "name") {
    return std::optional(Value::literal(object.callable().name));
  }
  if (object.is(Kind::tuple) && object.list().name == std::string_view("group") && object.items().size() == 2) {
    if (name == "grouper") return std::optional(object.items()[0]);
    if (name == "list") return std::optional(object.items()[1]);
  }
  if (const Builtin* row = find_method(object, name)) return std::optional(bound_method(object, *row));
  return std::optional<Value>();
}

// Position of an index in [0, count), or nullopt.
std::optional<size_t> position(int64_t index, int64_t count) {
  if (index < 0) index += count;
  if (index < 0 || index >= count) return std::nullopt;
  return static_cast<size_t>(index);
}

// What object[key] gives, or nullopt.
Result<std::optional<Value>> own_item(Machine& machine, const Value& object, const Value& key) {
  switch (object.kind()) {
    case Kind::dict:
      MIAO_CHECK_OK(pay_for_key(machine.budget, key));
      if (const Value* v = object.dict().find(key)) return std::optional(*v);
      break;
    case Kind::list:
    case Kind::tuple:
      if (!key.is_whole()) break;
      if (const auto at = position(key.integer(), static_cast<int64_t>(object.items().size()))) {
        return std::optional(object.items()[*at]);
      }
      break;
    case Kind::range:
      if (!key.is_whole()) break;
      if (const auto at = position(key.integer(), object.range().count)) {
        return std::optional(Value(object.range().start + object.range().step * static_cast<int64_t>(*at)));
      }
      break;
    case Kind::string: {
      if (!key.is_whole()) break;
      const Text& text = object.text();
      MIAO_CHECK_OK(machine.budget.text(text.size()));
      const auto at = position(key.integer(), static_cast<int64_t>(count_code_points(text.view())));
      if (!at) break;
      const size_t begin = offset_of(text.view(), *at);
      return std::optional(Value(text.slice(begin, begin + sequence_length(text.bytes()[begin]))));
    }
    default:
      break;
  }
  return std::optional<Value>();
}

struct Range {
  int64_t start, step;
  size_t count;
};

// Python's slice.indices for a sequence of `size` items.
Result<Range> slice_range(const Value& start, const Value& stop, const Value& step, int64_t size) {
  for (const Value* v : {&start, &stop, &step}) {
    if (!v->is(Kind::none) && !v->is_whole()) return bad_operand("slice indices must be integers or none", *v);
  }
  const int64_t by = step.is(Kind::none) ? 1 : step.integer();
  if (by == 0) return type_error("slice step cannot be zero");
  const int64_t low = by < 0 ? -1 : 0, high = by < 0 ? size - 1 : size;
  auto clamp = [&](const Value& v, int64_t otherwise) {
    if (v.is(Kind::none)) return otherwise;
    int64_t i = v.integer();
    if (i < 0) i = i < -size ? low : i + size;
    return std::min(std::max(i, low), high);
  };
  const int64_t from = clamp(start, by < 0 ? high : low), to = clamp(stop, by < 0 ? low : high);
  const int64_t span = by < 0 ? from - to : to - from;
  // |by| without overflow for INT64_MIN
  const uint64_t stride = by < 0 ? ~static_cast<uint64_t>(by) + 1 : static_cast<uint64_t>(by);
  const size_t count = span <= 0 ? 0 : static_cast<size_t>((static_cast<uint64_t>(span) - 1) / stride + 1);
  return Range{from, by, count};
}

Result<Value> slice_text(Machine& machine, const Text& text, const Range& r, size_t code_points) {
  MIAO_CHECK_OK(machine.budget.text(text.size()));
  if (r.step == 1) {
    const size_t begin = offset_of(text.view(), static_cast<size_t>(r.start));
    const size_t end = begin + offset_of(text.view().substr(begin), r.count);
    return Value(text.slice(begin, r.count == 0 ? begin : end));
  }
  std::vector<size_t> starts;
  starts.reserve(code_points + 1);
  for (size_t i = 0; i < text.size(); ++i) {
    if (!is_continuation(text.bytes()[i])) starts.push_back(i);
  }
  starts.push_back(text.size());
  Text out;
  out.markup = text.markup;
  int64_t at = r.start;
  for (size_t i = 0; i < r.count; ++i) {
    out.append(text, starts[static_cast<size_t>(at)], starts[static_cast<size_t>(at) + 1]);
    if (i + 1 < r.count) at += r.step;
  }
  return Value(std::move(out));
}

}  // namespace

Result<Value> get_attribute(const Value& object, std::string_view name) {
  if (object.is(Kind::undefined)) return type_error(std::string(object.why()));
  MIAO_TRY(std::optional<Value> own, own_attribute(object, name));
  if (own) return std::move(*own);
  if (object.is(Kind::dict)) {
    if (const Value* v = object.dict().find(name)) return *v;
  }
  return missing_attribute(object, name);
}

Result<Value> get_item(Machine& machine, const Value& object, const Value& key) {
  if (object.is(Kind::undefined)) return type_error(std::string(object.why()));
  MIAO_TRY(std::optional<Value> own, own_item(machine, object, key));
  if (own) return std::move(*own);
  if (key.is(Kind::string)) {
    MIAO_TRY(std::optional<Value> attribute, own_attribute(object, key.text().view()));
    if (attribute) return std::move(*attribute);
    return missing_attribute(object, key.text().view());
  }
  MIAO_TRY(const Text text, repr(machine.budget, key));
  return Value::undefined("'" + type_name(object) + " object' has no element " + clipped(text.bytes()));
}

Result<Value> get_slice(Machine& machine, const Value& object, const Value& start, const Value& stop,
                        const Value& step) {
  switch (object.kind()) {
    case Kind::string: {
      MIAO_CHECK_OK(machine.budget.text(object.text().size()));
      const size_t size = count_code_points(object.text().view());
      MIAO_TRY(const Range r, slice_range(start, stop, step, static_cast<int64_t>(size)));
      return slice_text(machine, object.text(), r, size);
    }
    case Kind::list:
    case Kind::tuple: {
      MIAO_TRY(const Range r, slice_range(start, stop, step, static_cast<int64_t>(object.items().size())));
      MIAO_CHECK_OK(machine.budget.items(r.count));
      std::vector<Value> items;
      items.reserve(r.count);
      int64_t at = r.start;
      for (size_t i = 0; i < r.count; ++i) {
        items.push_back(object.items()[static_cast<size_t>(at)]);
        if (i + 1 < r.count) at += r.step;
      }
      return make_list(object.kind(), std::move(items));
    }
    case Kind::range: {
      const RangeObject& from = object.range();
      MIAO_TRY(const Range r, slice_range(start, stop, step, from.count));
      auto range = std::make_shared<RangeObject>();
      range->start = from.start + from.step * r.start;
      range->count = static_cast<int64_t>(r.count);
      range->step = r.count > 1 ? from.step * r.step : from.step;
      range->stop = range->start + range->step * range->count;
      return Value::object(Kind::range, std::move(range));
    }
    default:
      return bad_operand("only strings, lists and tuples can be sliced", object);
  }
}

Result<Value> get_path(Machine& machine, const Value& object, const Value& path) {
  if (!path.is(Kind::string)) return get_item(machine, object, path);
  Value current = object;
  std::string_view rest = path.text().view();
  while (true) {
    const size_t dot = rest.find('.');
    const std::string_view part = rest.substr(0, dot);
    int64_t index = 0;
    const bool digits = !part.empty() && part.find_first_not_of("0123456789") == std::string_view::npos &&
                        std::from_chars(part.data(), part.data() + part.size(), index).ec == std::errc();
    MIAO_TRY(current, get_item(machine, current, digits ? Value(index) : Value::literal(std::string(part))));
    if (dot == std::string_view::npos) return current;
    rest.remove_prefix(dot + 1);
  }
}

}  // namespace miao::prep::jinja
