// Tokens to tree, with the grammar of Jinja2 3.1 and the loopcontrols extension.
#pragma once

#include <memory>
#include <string_view>

#include "base/result.h"
#include "prep/jinja/ast.h"

namespace miao::prep::jinja {

// Errors name the line. Sources larger than kMaxSource, nesting deeper than kMaxDepth and trees of more than kMaxNodes
// are refused.
Result<std::shared_ptr<const Template>> parse(std::string_view source, std::string_view place);

}  // namespace miao::prep::jinja
