// The filter tables, one for each file of filters.
#pragma once

#include <span>

#include "prep/jinja/callable.h"

namespace miao::prep::jinja {

// Makes a filter that yields its items lazily in Jinja2: `fill` appends them, and its Error comes with the item that
// would have caused it.
template <Result<void> (*fill)(Machine&, const Value& self, const Bound&, std::vector<Value>& items)>
Result<Value> lazily(Machine& machine, const Value& self, const Bound& bound) {
  std::vector<Value> items;
  auto filled = fill(machine, self, bound, items);
  if (filled.ok()) return make_generator(std::move(items));
  return make_generator(std::move(items), std::move(filled.error()));
}

std::span<const Builtin> text_filters();    // filters_text.cpp
std::span<const Builtin> list_filters();    // filters_list.cpp
std::span<const Builtin> select_filters();  // filters_select.cpp: map, select, sort, group
std::span<const Builtin> number_filters();  // filters_number.cpp

}  // namespace miao::prep::jinja
