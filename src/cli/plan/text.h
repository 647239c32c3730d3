// A plan as miao plan prints it.
#pragma once

#include <string>

#include "base/json.h"
#include "compress/plan.h"

namespace miao::cli {

std::string plan_text(const compress::Plan& plan, const std::string& model);
Json plan_json(const compress::Plan& plan, const std::string& model);

}  // namespace miao::cli
