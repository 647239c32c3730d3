// Values of template programs, with Python's semantics. A value is a kind, a small payload and, for the larger kinds, a
// shared immutable object; only namespaces, generators, cyclers and joiners change after they are made.
//
//   undefined (why) | none | boolean | integer (64 bit, overflow is an error) | real
//   string Text | list, tuple, view (dict.items() ...), generator: items | dict | range | ns | callable | loop | joiner
//   | cycler
//
// Every container knows its depth (1 + deepest item, at most kMaxDepth), so that recursion over values is bounded.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/result.h"
#include "prep/jinja/budget.h"
#include "prep/jinja/text.h"

namespace miao::prep::jinja {

enum class Kind : uint8_t {
  undefined,
  none,
  boolean,
  integer,
  real,
  string,
  list,
  tuple,
  view,
  generator,
  dict,
  range,
  ns,
  callable,
  loop,
  joiner,
  cycler,
};

struct Object {
  virtual ~Object() = default;
  int depth = 0;  // 0 for leaves
};
class Value;
struct ListObject;
struct DictObject;
struct Callable;
struct LoopState;

struct TextObject : Object {
  explicit TextObject(Text t) : text(std::move(t)) {}
  Text text;
};
struct RangeObject : Object {
  int64_t start = 0, step = 1;
  int64_t count = 0;
  int64_t stop = 0;
};
struct NamespaceObject;

class Value {
 public:
  Value() = default;  // undefined
  Value(bool b) : kind_(Kind::boolean) { small_.boolean = b; }
  Value(int64_t i) : kind_(Kind::integer) { small_.integer = i; }
  Value(double d) : kind_(Kind::real) { small_.real = d; }
  Value(Text text) : kind_(Kind::string), object_(std::make_shared<TextObject>(std::move(text))) {}
  template <class T>
  Value(const T*) = delete;  // no pointer becomes a bool
  static Value none();
  static Value undefined(std::string why);
  static Value literal(std::string text) { return Value(Text(std::move(text), true)); }
  static Value object(Kind kind, std::shared_ptr<Object> object) {
    Value v;
    v.kind_ = kind;
    v.object_ = std::move(object);
    return v;
  }

  Kind kind() const { return kind_; }
  bool is(Kind k) const { return kind_ == k; }
  bool is_number() const { return kind_ >= Kind::boolean && kind_ <= Kind::real; }
  bool is_whole() const { return kind_ == Kind::boolean || kind_ == Kind::integer; }
  bool has_items() const { return kind_ >= Kind::list && kind_ <= Kind::generator; }

  bool boolean() const { return small_.boolean; }
  int64_t integer() const { return kind_ == Kind::boolean ? small_.boolean : small_.integer; }
  double real() const { return kind_ == Kind::real ? small_.real : static_cast<double>(integer()); }
  const Text& text() const { return static_cast<const TextObject&>(*object_).text; }
  const std::vector<Value>& items() const;
  ListObject& list() const;
  const RangeObject& range() const { return static_cast<const RangeObject&>(*object_); }
  const DictObject& dict() const;
  NamespaceObject& ns() const;
  const Callable& callable() const;
  template <class T>
  T& as() const {
    return static_cast<T&>(*object_);
  }
  const Object* identity() const { return object_.get(); }
  int depth() const { return object_ ? object_->depth : 0; }
  // Why a value is undefined: "'x' is undefined".
  std::string_view why() const;

 private:
  Kind kind_ = Kind::undefined;
  union {
    bool boolean;
    int64_t integer = 0;
    double real;
  } small_;
  std::shared_ptr<Object> object_;
};

struct ListObject : Object {
  std::vector<Value> items;
  const char* name = "list";     // how Python calls a view: dict_items
  size_t used = 0;               // items a generator has given away
  std::optional<Error> failure;  // what comes after the last item of a generator
};
inline const std::vector<Value>& Value::items() const { return static_cast<const ListObject&>(*object_).items; }
inline ListObject& Value::list() const { return static_cast<ListObject&>(*object_); }

// Insertion-ordered; keys are hashable values. Equal keys are those Python holds equal (1 == 1.0 == True).
struct DictObject : Object {
  std::vector<std::pair<Value, Value>> entries;
  const Value* find(const Value& key) const;
  const Value* find(std::string_view key) const;
  // False when the key cannot be hashed (list, dict).
  bool set(const Value& key, Value value);

 private:
  std::optional<size_t> position(const std::string& hash) const;
  std::unordered_map<std::string, size_t> index_;  // by hash_key, from kIndexFrom entries on
};

struct NamespaceObject : Object {
  std::vector<std::pair<std::string, Value>> entries;
  const Value* find(std::string_view name) const;
  void set(std::string_view name, Value value);
};

struct JoinerObject : Object {
  Value separator;
  bool used = false;
};
struct CyclerObject : Object {
  std::vector<Value> items;
  size_t at = 0;
};

// Looking a key up reads it; longer keys cost more.
Result<void> pay_for_key(Budget& budget, const Value& key);
// A name for equal keys: "s" + bytes, "i42", ... Empty when the value cannot be a key.
std::string hash_key(const Value& key);

// Containers of finished items; an Error when the nesting exceeds kMaxDepth.
Result<Value> make_list(Kind kind, std::vector<Value> items, const char* name = "list");
// Items made in advance; the Error, if any, comes when a reader gets past them, as from a lazy generator.
Result<Value> make_generator(std::vector<Value> items, std::optional<Error> failure = std::nullopt);
Result<Value> make_dict(std::shared_ptr<DictObject> dict);  // also sets its depth

// "int", "str", "NoneType", "list", "Undefined" ... as in Python's messages.
std::string type_name(const Value& v);
bool truthy(const Value& v);
Result<bool> equals(Budget& budget, const Value& a, const Value& b);
// -1, 0, 1; an Error for values that have no order (str and int). NaN orders after everything.
Result<int> compare(Budget& budget, const Value& a, const Value& b);
// len(): an Error for values without a length.
Result<int64_t> length(const Value& v);

Error type_error(std::string message);
// The Error for using an undefined value, or a type error naming both kinds.
Error bad_operand(std::string_view what, const Value& v);

// Walks anything iterable; a generator is consumed, and may fail on the way. Errors: not iterable.
class Cursor {
 public:
  static Result<Cursor> open(const Value& v);
  Result<bool> next(Value& item);
  // Items left, without consuming them.
  size_t left() const;

 private:
  Value source_;
  size_t at_ = 0;
};
// All items of an iterable, within the list budget.
Result<std::vector<Value>> to_vector(Budget& budget, const Value& v);

}  // namespace miao::prep::jinja
