// KeyValues: lookups with types, and JSON objects flattened to dotted keys.
#include "base/key_values.h"

#include <cmath>

#include "base/json.h"

namespace miao {

namespace {

constexpr double kMaxExactInteger = 9007199254740992.0;  // 2^53
constexpr size_t kMaxKeys = size_t{1} << 17;
constexpr size_t kMaxKeyBytes = size_t{16} << 20;

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

// Writes the members of nested objects under dotted keys. A key repeats the names of all objects around it, so the sum
// of the keys can be the square of the text: it is bounded here. Depth is bounded by parse_json.
class Flattener {
 public:
  explicit Flattener(KeyValues& out) : out_(out) {}

  Result<void> add(const Json& object, const std::string& prefix) {
    for (const auto& [name, value] : object.items()) {
      key_bytes_ += prefix.size() + 1 + name.size();
      if (++keys_ > kMaxKeys || key_bytes_ > kMaxKeyBytes) {
        return Error{Code::invalid,
                     "holds too many or too long keys (at most " + std::to_string(kMaxKeys) + ", " +
                         std::to_string(kMaxKeyBytes >> 20) + " MiB with the names of the objects around them)",
                     out_.source()};
      }
      const std::string key = prefix.empty() ? name : prefix + "." + name;
      if (value.is_object()) {
        out_.set_object(key);
        MIAO_CHECK_OK(add(value, key));
      } else if (!value.is_null() && !out_.set(key, flat(value))) {
        return Error{Code::corrupt, "key '" + key + "' appears twice", out_.source()};
      }
    }
    return {};
  }

 private:
  KeyValues::Value flat(const Json& value) {
    if (value.is_boolean()) return value.get<bool>();
    if (fits_int64(value)) return value.get<int64_t>();
    if (value.is_number()) return value.get<double>();
    if (value.is_string()) return out_.intern(value.get<std::string>());
    return flatten_array(value, out_);
  }

  KeyValues& out_;
  size_t keys_ = 0, key_bytes_ = 0;
};

}  // namespace

bool KeyValues::set(std::string key, Value value) { return values_.emplace(std::move(key), std::move(value)).second; }

std::string_view KeyValues::intern(std::string text) {
  auto owned = std::make_shared<const std::string>(std::move(text));
  owners_.push_back(owned);
  return *owned;
}

Result<KeyValues> KeyValues::from_json(std::string_view text, std::string source) {
  if (text.size() > kMaxJsonBytes) {
    return Error{Code::invalid, "is larger than the limit of " + std::to_string(kMaxJsonBytes >> 20) + " MiB", source};
  }
  MIAO_TRY(Json root, parse_json(text, source));
  if (!root.is_object()) return Error{Code::corrupt, "the top level is not a JSON object", source};
  KeyValues out(std::move(source));
  MIAO_CHECK_OK(Flattener(out).add(root, ""));
  return out;
}

const KeyValues::Value* KeyValues::find(std::string_view key) const {
  auto it = values_.find(key);
  return it == values_.end() ? nullptr : &it->second;
}

Error KeyValues::absent(std::string_view key, const char* wanted) const {
  if (objects_.contains(key)) return wrong_type(key, wanted);
  return {Code::not_found, "key '" + std::string(key) + "' is missing", source_};
}
Error KeyValues::wrong_type(std::string_view key, const char* wanted) const {
  return {Code::invalid, "key '" + std::string(key) + "' is not " + wanted, source_};
}

Result<int64_t> KeyValues::integer(std::string_view key) const {
  const Value* v = find(key);
  if (!v) return absent(key, "an integer");
  if (auto* i = std::get_if<int64_t>(v)) return *i;
  if (auto* d = std::get_if<double>(v); d && std::trunc(*d) == *d && std::fabs(*d) <= kMaxExactInteger) {
    return static_cast<int64_t>(*d);
  }
  return wrong_type(key, "an integer");
}
Result<double> KeyValues::number(std::string_view key) const {
  const Value* v = find(key);
  if (!v) return absent(key, "a number");
  if (auto* d = std::get_if<double>(v)) return *d;
  if (auto* i = std::get_if<int64_t>(v)) return static_cast<double>(*i);
  return wrong_type(key, "a number");
}
Result<bool> KeyValues::boolean(std::string_view key) const {
  const Value* v = find(key);
  if (!v) return absent(key, "true or false");
  if (auto* b = std::get_if<bool>(v)) return *b;
  return wrong_type(key, "true or false");
}
Result<std::string_view> KeyValues::string(std::string_view key) const {
  const Value* v = find(key);
  if (!v) return absent(key, "a string");
  if (auto* s = std::get_if<std::string_view>(v)) return *s;
  return wrong_type(key, "a string");
}
Result<const KeyValues::Ints*> KeyValues::integers(std::string_view key) const {
  const Value* v = find(key);
  if (!v) return absent(key, "an array of integers");
  if (auto* a = std::get_if<Ints>(v)) return a;
  return wrong_type(key, "an array of integers");
}
Result<KeyValues::Floats> KeyValues::numbers(std::string_view key) const {
  const Value* v = find(key);
  if (!v) return absent(key, "an array of numbers");
  if (auto* a = std::get_if<Floats>(v)) return *a;
  if (auto* a = std::get_if<Ints>(v)) return Floats(a->begin(), a->end());
  return wrong_type(key, "an array of numbers");
}
Result<const KeyValues::Strings*> KeyValues::strings(std::string_view key) const {
  const Value* v = find(key);
  if (!v) return absent(key, "an array of strings");
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
