// The state behind a `for` statement and its `loop` variable. Items are drawn one at a time (a loop filter may depend
// on what the body did); `last`, `nextitem` and `length` look ahead as far as they need to.
#pragma once

#include <deque>
#include <functional>
#include <optional>

#include "prep/jinja/value.h"

namespace miao::prep::jinja {

struct LoopState : Object {
  using Filter = std::function<Result<bool>(const Value&)>;

  Cursor source;
  Filter filter;  // empty: every item passes; cleared when the statement ends
  std::deque<Value> ahead;
  Value current, before;
  int64_t index0 = -1;
  int64_t depth0 = 0;
  std::vector<Value> changed_value;
  bool changed_called = false;

  // Lets go of all items; a loop object that outlives its statement is at its end.
  void close();
  // Moves to the next item; false at the end.
  Result<bool> advance();
  Result<int64_t> length();
  // index, index0, first, last, length, revindex, revindex0, previtem, nextitem, depth, depth0, cycle, changed
  Result<std::optional<Value>> attribute(std::string_view name);

 private:
  // Fills `ahead` up to `count` items, or as far as the source goes.
  Result<void> look(size_t count);
};

}  // namespace miao::prep::jinja
