// Python's three ways to format text: "%s" % x, "{}".format(x), and format specifications such as ">8.2f".
#pragma once

#include "prep/jinja/callable.h"

namespace miao::prep::jinja {

// template % argument: a tuple supplies one value for each field, a dict is read by %(name)s.
Result<Value> format_percent(Budget& budget, const Text& format, const Value& argument);
// format.format(*positional, **named), fields with attribute and item access.
Result<Value> format_braces(Machine& machine, const Text& format, const Arguments& arguments);

}  // namespace miao::prep::jinja
