// KeyValues: a flat, read-only dictionary of scalars and arrays: GGUF metadata as it is, or a JSON object flattened to
// dotted keys ("rope_scaling.factor"). Lookups that find another type than asked for are Errors that name the key.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"

namespace miao {

class KeyValues {
 public:
  using Ints = std::vector<int64_t>;  // bool arrays too (0 or 1)
  using Floats = std::vector<double>;
  using Strings = std::vector<std::string_view>;
  // string_views point into memory that `owner` keeps alive.
  using Value = std::variant<bool, int64_t, double, std::string_view, Ints, Floats, Strings>;

  // `source` is used in error messages ("model.gguf"). A second set of the same key returns false.
  explicit KeyValues(std::string source = {}) : source_(std::move(source)) {}
  bool set(std::string key, Value value);
  // Says that `key` is there and is none of the above; its members are keys of their own.
  void set_object(std::string key) { objects_.insert(std::move(key)); }
  void keep(std::shared_ptr<const void> owner) { owners_.push_back(std::move(owner)); }
  // Copies `text` to memory that lives as long as this object (and its copies).
  std::string_view intern(std::string text);

  // A JSON object flattened: nested objects to dotted keys, arrays of one scalar kind to arrays, null left out, an
  // array that mixes kinds or holds objects to its JSON text. Bounded: 4 MiB of text, 64 levels, 131072 keys with 16
  // MiB of names. Duplicate keys are an Error, also of two objects that flatten to the same dotted key.
  static constexpr size_t kMaxJsonBytes = size_t{4} << 20;
  static Result<KeyValues> from_json(std::string_view text, std::string source);

  const std::string& source() const { return source_; }
  bool has(std::string_view key) const { return find(key) || objects_.contains(key); }
  const Value* find(std::string_view key) const;

  // Required values: not_found when absent, invalid when of another type (integral floats count as integers; integers
  // as floats).
  Result<int64_t> integer(std::string_view key) const;
  Result<double> number(std::string_view key) const;
  Result<bool> boolean(std::string_view key) const;
  Result<std::string_view> string(std::string_view key) const;
  Result<const Ints*> integers(std::string_view key) const;
  Result<Floats> numbers(std::string_view key) const;  // integer arrays are widened
  Result<const Strings*> strings(std::string_view key) const;
  // Optional values: the default when absent, an Error when of another type.
  Result<int64_t> integer(std::string_view key, int64_t fallback) const;
  Result<double> number(std::string_view key, double fallback) const;
  Result<bool> boolean(std::string_view key, bool fallback) const;
  Result<std::string_view> string(std::string_view key, std::string_view fallback) const;

  auto begin() const { return values_.begin(); }
  auto end() const { return values_.end(); }
  size_t size() const { return values_.size(); }

 private:
  Error wrong_type(std::string_view key, const char* wanted) const;
  Error absent(std::string_view key, const char* wanted) const;

  std::string source_;
  std::map<std::string, Value, std::less<>> values_;
  std::set<std::string, std::less<>> objects_;
  std::vector<std::shared_ptr<const void>> owners_;
};

}  // namespace miao
