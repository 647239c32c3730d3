// JSON documents as values.
#pragma once

#include <string_view>

#include "base/result.h"
#include "prep/jinja/value.h"

namespace miao::prep::jinja {

// Strings and keys take `trusted`. Integers beyond 64 bits become reals. Errors name `where`.
Result<Value> from_json(std::string_view text, std::string_view where, bool trusted);
// As from_json for an array of messages: the value of a member "role" is trusted when it is one of the usual role
// names, since templates build control tokens from it ('<|' + role + '|>').
Result<Value> messages_from_json(std::string_view text, std::string_view where);
// A role name as a value, trusted when usual.
Value role_value(std::string_view role);

}  // namespace miao::prep::jinja
