// The filter tables, one for each file of filters.
#pragma once

#include <span>

#include "prep/jinja/callable.h"

namespace miao::prep::jinja {

std::span<const Builtin> text_filters();    // filters_text.cpp
std::span<const Builtin> list_filters();    // filters_list.cpp
std::span<const Builtin> select_filters();  // filters_select.cpp: map, select, sort, group
std::span<const Builtin> number_filters();  // filters_number.cpp

}  // namespace miao::prep::jinja
