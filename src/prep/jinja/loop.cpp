// Attributes of `loop`; its two methods are found through the method tables, as for other objects.
#include "prep/jinja/loop.h"

namespace miao::prep::jinja {

Result<void> LoopState::look(size_t count) {
  for (Value item; ahead.size() < count;) {
    MIAO_TRY(const bool more, source.next(item));
    if (!more) break;
    if (filter) {
      MIAO_TRY(const bool passes, filter(item));
      if (!passes) continue;
    }
    ahead.push_back(std::move(item));
  }
  return {};
}

void LoopState::close() {
  source = Cursor();
  filter = nullptr;
  ahead.clear();
  changed_value.clear();
  current = before = Value();
}

Result<bool> LoopState::advance() {
  MIAO_CHECK_OK(look(1));
  if (ahead.empty()) return false;
  before = std::move(current);
  current = std::move(ahead.front());
  ahead.pop_front();
  ++index0;
  return true;
}

Result<int64_t> LoopState::length() {
  MIAO_CHECK_OK(look(SIZE_MAX));
  return index0 + 1 + static_cast<int64_t>(ahead.size());
}

Result<std::optional<Value>> LoopState::attribute(std::string_view name) {
  if (name == "index") return std::optional<Value>(index0 + 1);
  if (name == "index0") return std::optional<Value>(index0);
  if (name == "first") return std::optional<Value>(index0 == 0);
  if (name == "depth") return std::optional<Value>(depth0 + 1);
  if (name == "depth0") return std::optional<Value>(depth0);
  if (name == "last" || name == "nextitem") {
    MIAO_CHECK_OK(look(1));
    if (name == "last") return std::optional<Value>(ahead.empty());
    return std::optional(ahead.empty() ? Value::undefined("there is no next item") : ahead.front());
  }
  if (name == "previtem") return std::optional(index0 == 0 ? Value::undefined("there is no previous item") : before);
  if (name == "length" || name == "revindex" || name == "revindex0") {
    MIAO_TRY(const int64_t count, length());
    return std::optional<Value>(name == "length" ? count : name == "revindex" ? count - index0 : count - index0 - 1);
  }
  return std::optional<Value>();
}

}  // namespace miao::prep::jinja
