// The parser in base bounds the depth to 64 levels, so that plain recursion is safe here.
#include "prep/jinja/from_json.h"

#include <algorithm>
#include <limits>

#include "base/json.h"

namespace miao::prep::jinja {

namespace {

Result<Value> convert(const Json& json, bool trusted) {
  switch (json.type()) {
    case Json::value_t::null:
      return Value::none();
    case Json::value_t::boolean:
      return Value(json.get<bool>());
    case Json::value_t::number_integer:
      return Value(json.get<int64_t>());
    case Json::value_t::number_unsigned: {
      const auto u = json.get<uint64_t>();
      if (u > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) return Value(static_cast<double>(u));
      return Value(static_cast<int64_t>(u));
    }
    case Json::value_t::number_float:
      return Value(json.get<double>());
    case Json::value_t::string:
      return Value(Text(json.get_ref<const std::string&>(), trusted));
    case Json::value_t::array: {
      std::vector<Value> items;
      items.reserve(json.size());
      for (const Json& item : json) {
        MIAO_TRY(Value value, convert(item, trusted));
        items.push_back(std::move(value));
      }
      return make_list(Kind::list, std::move(items));
    }
    case Json::value_t::object: {
      auto dict = std::make_shared<DictObject>();
      for (const auto& [key, item] : json.items()) {
        MIAO_TRY(Value value, convert(item, trusted));
        dict->set(Value(Text(key, trusted)), std::move(value));
      }
      return make_dict(std::move(dict));
    }
    default:
      return Error{Code::invalid, "unsupported JSON value", ""};
  }
}

}  // namespace

Value role_value(std::string_view role) {
  static constexpr std::string_view kUsual[] = {"system", "user",     "assistant", "tool",       "developer",
                                                "model",  "function", "ipython",   "observation"};
  const bool usual = std::find(std::begin(kUsual), std::end(kUsual), role) != std::end(kUsual);
  return Value(Text(std::string(role), usual));
}

Result<Value> from_json(std::string_view text, std::string_view where, bool trusted) {
  MIAO_TRY(const Json json, parse_json(text, where));
  return convert(json, trusted);
}

Result<Value> messages_from_json(std::string_view text, std::string_view where) {
  MIAO_TRY(const Json json, parse_json(text, where));
  const bool array = json.is_array();
  std::vector<Value> messages;
  for (const Json& message : array ? json : Json::array({json})) {
    if (!message.is_object()) {
      return Error{Code::invalid, "messages must be JSON objects with a role and content", std::string(where)};
    }
    MIAO_TRY(const Value value, convert(message, false));
    auto dict = std::make_shared<DictObject>(value.dict());
    if (const Value* role = dict->find(std::string_view("role")); role && role->is(Kind::string)) {
      dict->set(Value::literal("role"), role_value(role->text().view()));
    }
    MIAO_TRY(Value marked, make_dict(std::move(dict)));
    messages.push_back(std::move(marked));
  }
  if (!array) return messages[0];
  return make_list(Kind::list, std::move(messages));
}

}  // namespace miao::prep::jinja
