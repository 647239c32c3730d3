// Dict keys, depth accounting, truth and iteration of values. Comparison is in compare.cpp.
#include "prep/jinja/value.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "prep/jinja/callable.h"
#include "prep/jinja/loop.h"
#include "prep/jinja/unicode.h"

namespace miao::prep::jinja {

namespace {

constexpr size_t kIndexFrom = 12;  // entries from which a dict has a hash index; below, a scan is faster

struct ReasonObject : Object {
  explicit ReasonObject(std::string r) : reason(std::move(r)) {}
  std::string reason;
};

Error too_deep() {
  return Error{Code::invalid, "template exceeds its budget of " + std::to_string(kMaxDepth) + " nested values", ""};
}

}  // namespace

Value Value::none() {
  Value v;
  v.kind_ = Kind::none;
  return v;
}

Value Value::undefined(std::string why) {
  return object(Kind::undefined, std::make_shared<ReasonObject>(std::move(why)));
}

std::string_view Value::why() const {
  return object_ ? std::string_view(static_cast<const ReasonObject&>(*object_).reason) : "value is undefined";
}

const DictObject& Value::dict() const { return static_cast<const DictObject&>(*object_); }
NamespaceObject& Value::ns() const { return static_cast<NamespaceObject&>(*object_); }
const Callable& Value::callable() const { return static_cast<const Callable&>(*object_); }

std::string hash_key(const Value& key) {
  switch (key.kind()) {
    case Kind::string:
      return "s" + key.text().bytes();
    case Kind::boolean:
    case Kind::integer:
      return "i" + std::to_string(key.integer());
    case Kind::real: {
      const double d = key.real();
      if (d == std::floor(d) && std::fabs(d) < 9.2e18) return "i" + std::to_string(static_cast<int64_t>(d));
      char bytes[sizeof d];
      std::memcpy(bytes, &d, sizeof d);
      return "f" + std::string(bytes, sizeof d);
    }
    case Kind::none:
      return "n";
    case Kind::undefined:
      return "u";
    case Kind::tuple: {
      std::string all = "t";
      for (const Value& item : key.items()) {
        const std::string part = hash_key(item);
        if (part.empty() || all.size() + part.size() > kMaxSource) return "";
        all += std::to_string(part.size()) + ":" + part;
      }
      return all;
    }
    default:
      return "";
  }
}

Result<void> pay_for_key(Budget& budget, const Value& key) {
  if (key.is(Kind::string)) return budget.text(key.text().size());
  return key.is(Kind::tuple) ? budget.text(hash_key(key).size()) : budget.spend(1);
}

std::optional<size_t> DictObject::position(const std::string& hash) const {
  if (entries.size() >= kIndexFrom) {
    const auto found = index_.find(hash);
    return found == index_.end() ? std::nullopt : std::optional(found->second);
  }
  for (size_t i = 0; i < entries.size(); ++i) {
    if (hash_key(entries[i].first) == hash) return i;
  }
  return std::nullopt;
}

const Value* DictObject::find(const Value& key) const {
  if (key.is(Kind::string)) return find(key.text().view());
  const std::string hash = hash_key(key);
  if (hash.empty()) return nullptr;
  const auto at = position(hash);
  return at ? &entries[*at].second : nullptr;
}

const Value* DictObject::find(std::string_view key) const {
  if (entries.size() >= kIndexFrom) {
    const auto at = position("s" + std::string(key));
    return at ? &entries[*at].second : nullptr;
  }
  for (const auto& [k, v] : entries) {
    if (k.is(Kind::string) && k.text().view() == key) return &v;
  }
  return nullptr;
}

bool DictObject::set(const Value& key, Value value) {
  const std::string hash = hash_key(key);
  if (hash.empty()) return false;
  if (const auto at = position(hash)) {
    entries[*at].second = std::move(value);
    return true;
  }
  entries.emplace_back(key, std::move(value));
  if (entries.size() == kIndexFrom) {
    for (size_t i = 0; i < entries.size(); ++i) index_.emplace(hash_key(entries[i].first), i);
  } else if (entries.size() > kIndexFrom) {
    index_.emplace(hash, entries.size() - 1);
  }
  return true;
}

const Value* NamespaceObject::find(std::string_view name) const {
  for (const auto& [k, v] : entries) {
    if (k == name) return &v;
  }
  return nullptr;
}

void NamespaceObject::set(std::string_view name, Value value) {
  for (auto& [k, v] : entries) {
    if (k == name) {
      v = std::move(value);
      return;
    }
  }
  entries.emplace_back(name, std::move(value));
}

Result<Value> make_list(Kind kind, std::vector<Value> items, const char* name) {
  int depth = 0;
  for (const Value& item : items) depth = std::max(depth, item.depth());
  if (depth >= kMaxDepth) return too_deep();
  auto list = std::make_shared<ListObject>();
  list->depth = depth + 1;
  list->items = std::move(items);
  list->name = name;
  return Value::object(kind, std::move(list));
}

Result<Value> make_generator(std::vector<Value> items, std::optional<Error> failure) {
  MIAO_TRY(Value generator, make_list(Kind::generator, std::move(items)));
  generator.list().failure = std::move(failure);
  return generator;
}

Result<Value> make_dict(std::shared_ptr<DictObject> dict) {
  int depth = 0;
  for (const auto& [key, value] : dict->entries) depth = std::max({depth, key.depth(), value.depth()});
  if (depth >= kMaxDepth) return too_deep();
  dict->depth = depth + 1;
  return Value::object(Kind::dict, std::move(dict));
}

std::string type_name(const Value& v) {
  switch (v.kind()) {
    case Kind::undefined:
      return "Undefined";
    case Kind::none:
      return "NoneType";
    case Kind::boolean:
      return "bool";
    case Kind::integer:
      return "int";
    case Kind::real:
      return "float";
    case Kind::string:
      return "str";
    case Kind::list:
      return "list";
    case Kind::tuple:
      return "tuple";
    case Kind::view:
      return v.list().name;
    case Kind::generator:
      return "generator";
    case Kind::dict:
      return "dict";
    case Kind::range:
      return "range";
    case Kind::ns:
      return "Namespace";
    case Kind::callable:
      return v.callable().macro ? "Macro" : "function";
    case Kind::loop:
      return "LoopContext";
    case Kind::joiner:
      return "Joiner";
    case Kind::cycler:
      return "Cycler";
  }
  return "object";
}

bool truthy(const Value& v) {
  switch (v.kind()) {
    case Kind::undefined:
    case Kind::none:
      return false;
    case Kind::boolean:
      return v.boolean();
    case Kind::integer:
      return v.integer() != 0;
    case Kind::real:
      return v.real() != 0;
    case Kind::string:
      return !v.text().empty();
    case Kind::list:
    case Kind::tuple:
    case Kind::view:
      return !v.items().empty();
    case Kind::dict:
      return !v.dict().entries.empty();
    case Kind::range:
      return v.range().count != 0;
    default:
      return true;
  }
}

Result<int64_t> length(const Value& v) {
  switch (v.kind()) {
    case Kind::undefined:
      return int64_t{0};
    case Kind::string:
      return static_cast<int64_t>(count_code_points(v.text().view()));
    case Kind::list:
    case Kind::tuple:
    case Kind::view:
      return static_cast<int64_t>(v.items().size());
    case Kind::dict:
      return static_cast<int64_t>(v.dict().entries.size());
    case Kind::range:
      return v.range().count;
    case Kind::loop:
      return v.as<LoopState>().length();
    default:
      return type_error("object of type '" + type_name(v) + "' has no len()");
  }
}

Error type_error(std::string message) { return Error{Code::invalid, std::move(message), ""}; }

Error bad_operand(std::string_view what, const Value& v) {
  if (v.is(Kind::undefined)) return type_error(std::string(v.why()));
  return type_error(std::string(what) + ", got " + type_name(v));
}

Result<Cursor> Cursor::open(const Value& v) {
  switch (v.kind()) {
    case Kind::undefined:
    case Kind::string:
    case Kind::list:
    case Kind::tuple:
    case Kind::view:
    case Kind::generator:
    case Kind::dict:
    case Kind::range:
      break;
    default:
      return type_error("'" + type_name(v) + "' object is not iterable");
  }
  Cursor cursor;
  cursor.source_ = v;
  return cursor;
}

Result<bool> Cursor::next(Value& item) {
  switch (source_.kind()) {
    case Kind::string: {
      const Text& text = source_.text();
      if (at_ >= text.size()) return false;
      const size_t end = std::min(text.size(), at_ + sequence_length(text.bytes()[at_]));
      Text character = text.slice(at_, end);
      character.markup = false;
      item = Value(std::move(character));
      at_ = end;
      return true;
    }
    case Kind::generator: {
      ListObject& list = source_.list();
      if (list.used >= list.items.size()) {
        if (list.failure) return *list.failure;
        return false;
      }
      item = list.items[list.used++];
      return true;
    }
    case Kind::dict:
      if (at_ >= source_.dict().entries.size()) return false;
      item = source_.dict().entries[at_++].first;
      return true;
    case Kind::range: {
      const RangeObject& r = source_.range();
      if (at_ >= static_cast<size_t>(r.count)) return false;
      item = Value(r.start + r.step * static_cast<int64_t>(at_++));
      return true;
    }
    case Kind::undefined:
      return false;
    default:
      if (at_ >= source_.items().size()) return false;
      item = source_.items()[at_++];
      return true;
  }
}

size_t Cursor::left() const {
  switch (source_.kind()) {
    case Kind::undefined:
      return 0;
    case Kind::string:
      return count_code_points(source_.text().view().substr(at_));
    case Kind::generator:
      return source_.list().items.size() - source_.list().used;
    case Kind::dict:
      return source_.dict().entries.size() - at_;
    case Kind::range:
      return static_cast<size_t>(source_.range().count) - at_;
    default:
      return source_.items().size() - at_;
  }
}

Result<std::vector<Value>> to_vector(Budget& budget, const Value& v) {
  MIAO_TRY(Cursor cursor, Cursor::open(v));
  const size_t count = cursor.left();
  MIAO_CHECK_OK(budget.items(count));
  std::vector<Value> items;
  items.reserve(count);
  for (Value item;;) {
    MIAO_TRY(const bool more, cursor.next(item));
    if (!more) return items;
    items.push_back(std::move(item));
  }
}

}  // namespace miao::prep::jinja
