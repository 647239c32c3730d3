// What eval.cpp and compress.cpp have in common.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "measure/budget.h"
#include "python/errors.h"

namespace miao::python {

std::vector<measure::Budget> to_budgets(const std::vector<std::string>& texts);  // raises, with the argument max_loss

}  // namespace miao::python
