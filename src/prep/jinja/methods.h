// Method tables by kind of object; find_method in methods.cpp chooses.
#pragma once

#include <span>

#include "prep/jinja/callable.h"

namespace miao::prep::jinja {

std::span<const Builtin> text_methods();  // methods_text.cpp

}  // namespace miao::prep::jinja
