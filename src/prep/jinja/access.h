// Attribute and item access with Jinja2's rules: x.name tries the attribute and then the item, x[key] the item and then
// the attribute. Objects have no attributes but the methods in the tables; names with two leading underscores and
// methods that change an object give an undefined value that says so.
#pragma once

#include "prep/jinja/callable.h"

namespace miao::prep::jinja {

Result<Value> get_attribute(const Value& object, std::string_view name);
Result<Value> get_item(Machine& machine, const Value& object, const Value& key);
// object[start:stop:step]; null bounds are open.
Result<Value> get_slice(Machine& machine, const Value& object, const Value& start, const Value& stop,
                        const Value& step);

// "a.b.0" of filters: items looked up one after the other. `path` is a string or an integer.
Result<Value> get_path(Machine& machine, const Value& object, const Value& path);

}  // namespace miao::prep::jinja
