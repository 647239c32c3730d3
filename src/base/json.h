// JSON text in and out through nlohmann-json, with bounds on what comes in. Include base/json.h in .cpp files only
// (the library's header is large); headers use nlohmann/json_fwd.hpp.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "base/result.h"

namespace miao {

using Json = nlohmann::ordered_json;

// Parses one document: valid UTF-8, at most `max_depth` levels (counted on the bytes before parsing) and 4 Mi values,
// no duplicate keys. Takes time linear in the text.
Result<Json> parse_json(std::string_view text, std::string_view where, int max_depth = 64);

// One line of JSON; invalid UTF-8 is replaced by U+FFFD.
std::string dump_json(const Json& value, int indent = -1);

}  // namespace miao
