// Python's operators on values, with checked integers.
#pragma once

#include "prep/jinja/value.h"

namespace miao::prep::jinja {

enum class Op : uint8_t { add, sub, mul, div, floordiv, mod, pow };
enum class Relation : uint8_t { eq, ne, lt, le, gt, ge, in, not_in };

Result<Value> arithmetic(Budget& budget, Op op, const Value& a, const Value& b);
Result<Value> negate(const Value& v, bool minus);
Result<bool> relate(Budget& budget, Relation relation, const Value& a, const Value& b);
// item in container
Result<bool> contains(Budget& budget, const Value& container, const Value& item);

}  // namespace miao::prep::jinja
