// JSON parsing with a depth bound and a check for duplicate keys, which nlohmann-json keeps silently.
#include "base/json.h"

#include <unordered_set>
#include <vector>

namespace miao {

namespace {

// The deepest nesting of [ and { outside strings. Counted before parsing, so that no library meets a deep document.
int nesting(std::string_view text) {
  int depth = 0, deepest = 0;
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\')
        ++i;
      else if (c == '"')
        in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '[' || c == '{') {
      if (++depth > deepest) deepest = depth;
    } else if (c == ']' || c == '}') {
      --depth;
    }
  }
  return deepest;
}

}  // namespace

Result<Json> parse_json(std::string_view text, std::string_view where, int max_depth) {
  const std::string place(where);
  if (nesting(text) > max_depth) {
    return Error{Code::corrupt, "JSON nested deeper than " + std::to_string(max_depth) + " levels", place};
  }
  std::vector<std::unordered_set<std::string>> keys;  // of each open object
  std::string duplicate;
  auto watch = [&](int, Json::parse_event_t event, Json& value) {
    if (event == Json::parse_event_t::object_start) keys.emplace_back();
    if (event == Json::parse_event_t::object_end && !keys.empty()) keys.pop_back();
    if (event == Json::parse_event_t::key && !keys.empty() && duplicate.empty()) {
      const auto& key = value.get_ref<const std::string&>();
      if (!keys.back().insert(key).second) duplicate = key;
    }
    return true;
  };
  Json root = Json::parse(text.begin(), text.end(), watch, /*allow_exceptions=*/false);
  if (root.is_discarded()) return Error{Code::corrupt, "not valid JSON (or not UTF-8)", place};
  if (!duplicate.empty())
    return Error{Code::corrupt, "JSON key '" + duplicate + "' appears twice in one object", place};
  return root;
}

std::string dump_json(const Json& value, int indent) {
  return value.dump(indent, ' ', false, Json::error_handler_t::replace);
}

}  // namespace miao
