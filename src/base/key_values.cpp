// KeyValues: lookups with types, and JSON objects flattened to dotted keys.
#include "base/key_values.h"

#include <cmath>

#include "base/json.h"

namespace miao {

namespace {

constexpr double kMaxExactInteger = 9007199254740992.0;  // 2^53

bool fits_int64(const Json& value) {
  return value.is_number_integer() && (!value.is_number_unsigned() || value.get<uint64_t>() <= INT64_MAX);
}

KeyValues::Value flatten_array(const Json& array, KeyValues& out) {
  KeyValues::Ints ints;
  KeyValues::Floats floats;
  KeyValues::Strings strings;
  for (const Json& item : array) {
    if (item.is_boolean() || fits_int64(item)) {
      ints.push_back(item.is_boolean() ? int64_t{item.get<bool>()} : item.get<int64_t>());
      floats.push_back(static_cast<double>(ints.back()));
    } else if (item.is_number()) {
      floats.push_back(item.get<double>());
    } else if (item.is_string()) {
      strings.push_back(out.intern(item.get<std::string>()));
    }
  }
  if (ints.size() == array.size()) return ints;
  if (floats.size() == array.size()) return floats;
  if (strings.size() == array.size()) return strings;
  return out.intern(dump_json(array));
}

// Depth is bounded by parse_json.
Result<void> flatten(const Json& object, const std::string& prefix, KeyValues& out) {
  for (const auto& [name, value] : object.items()) {
    const std::string key = prefix.empty() ? name : prefix + "." + name;
    bool fresh = true;
    if (value.is_object()) {
      MIAO_CHECK_OK(flatten(value, key, out));
    } else if (value.is_boolean()) {
      fresh = out.set(key, value.get<bool>());
    } else if (fits_int64(value)) {
      fresh = out.set(key, value.get<int64_t>());
    } else if (value.is_number()) {
      fresh = out.set(key, value.get<double>());
    } else if (value.is_string()) {
      fresh = out.set(key, out.intern(value.get<std::string>()));
    } else if (value.is_array()) {
      fresh = out.set(key, flatten_array(value, out));
    }
    if (!fresh) return Error{Code::corrupt, "key '" + key + "' appears twice", out.source()};
  }
  return {};
}

}  // namespace

bool KeyValues::set(std::string key, Value value) { return values_.emplace(std::move(key), std::move(value)).second; }

std::string_view KeyValues::intern(std::string text) {
  auto owned = std::make_shared<const std::string>(std::move(text));
  owners_.push_back(owned);
  return *owned;
}

Result<KeyValues> KeyValues::from_json(std::string_view text, std::string source) {
  MIAO_TRY(Json root, parse_json(text, source));
  if (!root.is_object()) return Error{Code::corrupt, "the top level is not a JSON object", source};
  KeyValues out(std::move(source));
  MIAO_CHECK_OK(flatten(root, "", out));
  return out;
}

const KeyValues::Value* KeyValues::find(std::string_view key) const {
  auto it = values_.find(key);
  return it == values_.end() ? nullptr : &it->second;
}

Error KeyValues::absent(std::string_view key) const {
  return {Code::not_found, "key '" + std::string(key) + "' is missing", source_};
}
Error KeyValues::wrong_type(std::string_view key, const char* wanted) const {
  return {Code::invalid, "key '" + std::string(key) + "' is not " + wanted, source_};
}

Result<int64_t> KeyValues::integer(std::string_view key) const {
  const Value* v = find(key);
  if (!v) return absent(key);
  if (auto* i = std::get_if<int64_t>(v)) return *i;
  if (auto* d = std::get_if<double>(v); d && std::trunc(*d) == *d && std::fabs(*d) <= kMaxExactInteger) {
    return static_cast<int64_t>(*d);
  }
  return wrong_type(key, "an integer");
}
Result<double> KeyValues::number(std::string_view key) const {
  const Value* v = find(key);
  if (!v) return absent(key);
  if (auto* d = std::get_if<double>(v)) return *d;
  if (auto* i = std::get_if<int64_t>(v)) return static_cast<double>(*i);
  return wrong_type(key, "a number");
}
Result<bool> KeyValues::boolean(std::string_view key) const {
  const Value* v = find(key);
  if (!v) return absent(key);
  if (auto* b = std::get_if<bool>(v)) return *b;
  return wrong_type(key, "true or false");
}
Result<std::string_view> KeyValues::string(std::string_view key) const {
  const Value* v = find(key);
  if (!v) return absent(key);
  if (auto* s = std::get_if<std::string_view>(v)) return *s;
  return wrong_type(key, "a string");
}
Result<const KeyValues::Ints*> KeyValues::integers(std::string_view key) const {
  const Value* v = find(key);
  if (!v) return absent(key);
  if (auto* a = std::get_if<Ints>(v)) return a;
  return wrong_type(key, "an array of integers");
}
Result<KeyValues::Floats> KeyValues::numbers(std::string_view key) const {
  const Value* v = find(key);
  if (!v) return absent(key);
  if (auto* a = std::get_if<Floats>(v)) return *a;
  if (auto* a = std::get_if<Ints>(v)) return Floats(a->begin(), a->end());
  return wrong_type(key, "an array of numbers");
}
Result<const KeyValues::Strings*> KeyValues::strings(std::string_view key) const {
  const Value* v = find(key);
  if (!v) return absent(key);
  if (auto* a = std::get_if<Strings>(v)) return a;
  return wrong_type(key, "an array of strings");
}

Result<int64_t> KeyValues::integer(std::string_view key, int64_t fallback) const {
  return has(key) ? integer(key) : Result<int64_t>(fallback);
}
Result<double> KeyValues::number(std::string_view key, double fallback) const {
  return has(key) ? number(key) : Result<double>(fallback);
}
Result<bool> KeyValues::boolean(std::string_view key, bool fallback) const {
  return has(key) ? boolean(key) : Result<bool>(fallback);
}
Result<std::string_view> KeyValues::string(std::string_view key, std::string_view fallback) const {
  return has(key) ? string(key) : Result<std::string_view>(fallback);
}

}  // namespace miao
