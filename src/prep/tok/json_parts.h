// Readers of tokenizer.json's components. Include in .cpp files only: simdjson's header is large.
#pragma once

#include <simdjson.h>

#include "prep/tok/data.h"

namespace miao::prep {

using JsonElement = simdjson::dom::element;
using JsonObject = simdjson::dom::object;
using JsonArray = simdjson::dom::array;

// Fields of an object. An absent or null field gives the default, or not_found without one; another type is invalid.
// Errors name the field.
Result<JsonObject> json_object(JsonElement value, std::string_view what);
std::optional<JsonElement> json_field(const JsonObject& object, std::string_view name);  // absent and null: no value
Result<std::string_view> json_string(const JsonObject& object, std::string_view name);
Result<std::string_view> json_string(const JsonObject& object, std::string_view name, std::string_view fallback);
Result<bool> json_bool(const JsonObject& object, std::string_view name, bool fallback);
Result<int64_t> json_integer(const JsonObject& object, std::string_view name);
Result<int64_t> json_integer(const JsonObject& object, std::string_view name, int64_t fallback);
Result<JsonArray> json_array(const JsonObject& object, std::string_view name);

Error unsupported(std::string_view part, std::string_view what);  // a component that miao does not know
Error wrong(std::string_view name, const char* wanted);           // a field of another type
Error absent(std::string_view name);

// Calls each(member) for the members of {"type": "Sequence", `list`: [...]}, or for the component itself.
template <class Each>
Result<void> flatten(JsonElement element, std::string_view list, int depth, const Each& each) {
  constexpr int kMaxDepth = 8;
  if (depth > kMaxDepth) return Error{Code::invalid, "sequences are nested too deeply"};
  MIAO_TRY(const JsonObject object, json_object(element, "a component"));
  MIAO_TRY(const std::string_view type, json_string(object, "type"));
  if (type != "Sequence") return each(object, type);
  MIAO_TRY(const JsonArray members, json_array(object, list));
  for (JsonElement member : members) MIAO_CHECK_OK(flatten(member, list, depth + 1, each));
  return {};
}

// Each appends to what it is given. unsupported names a component that miao does not know.
Result<void> read_normalizer(JsonElement element, Normalizer& out);
Result<void> read_pre_tokenizer(JsonElement element, PreTokenizer& out, bool* byte_level);
Result<void> read_decoder(JsonElement element, Decoder& out);
// ids of special tokens are checked against `vocab`.
Result<void> read_post_processor(JsonElement element, int32_t vocab, Frame& out);

}  // namespace miao::prep
