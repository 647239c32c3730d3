// JSON parsing with bounds on depth and on the number of values, and a check for duplicate keys. nlohmann-json's own
// parser keeps duplicates silently and compares every key of an ordered object with all keys before it, which takes
// minutes for a megabyte of short keys; the handler below takes time linear in the text.
#include "base/json.h"

#include <unordered_set>
#include <utility>
#include <vector>

namespace miao {

namespace {

constexpr size_t kMaxValues = size_t{1} << 22;  // of one document; 16 bytes each, and as much again in containers

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

// Builds a document from the events of the parser. Objects and arrays are collected in a frame each and become values
// when they end, in one piece: growing a finished object would copy what it holds.
class Builder final : public nlohmann::json_sax<Json> {
 public:
  Json root;
  std::string problem;  // why parsing was stopped

  bool null() override { return put(nullptr); }
  bool boolean(bool value) override { return put(value); }
  bool number_integer(number_integer_t value) override { return put(value); }
  bool number_unsigned(number_unsigned_t value) override { return put(value); }
  bool number_float(number_float_t value, const string_t&) override { return put(value); }
  bool string(string_t& value) override { return put(std::move(value)); }
  bool binary(binary_t&) override { return false; }
  bool start_object(size_t) override { return open(true); }
  bool start_array(size_t) override { return open(false); }
  bool key(string_t& name) override {
    frames_.back().members.emplace_back(std::move(name), nullptr);
    return true;
  }
  bool end_object() override {
    auto members = std::move(frames_.back().members);
    frames_.pop_back();
    std::unordered_set<std::string_view> names(members.size());
    Json::object_t object;
    object.reserve(members.size());
    for (auto& [name, value] : members) {
      if (!names.insert(name).second) return stop("JSON key '" + name + "' appears twice in one object");
    }
    for (auto& [name, value] : members) object.emplace_back(std::move(name), std::move(value));
    return put(std::move(object));
  }
  bool end_array() override {
    Json items(std::move(frames_.back().items));
    frames_.pop_back();
    return put(std::move(items));
  }
  bool parse_error(size_t position, const std::string&, const nlohmann::detail::exception&) override {
    return stop("not valid JSON (or not UTF-8) near byte " + std::to_string(position));
  }

 private:
  struct Frame {
    bool is_object;
    std::vector<std::pair<std::string, Json>> members;
    Json::array_t items;
  };

  bool stop(std::string why) {
    problem = std::move(why);
    return false;
  }
  bool open(bool is_object) {
    frames_.push_back({is_object, {}, {}});
    return true;
  }
  bool put(Json value) {
    if (++values_ > kMaxValues) return stop("JSON of more than " + std::to_string(kMaxValues) + " values");
    if (frames_.empty())
      root = std::move(value);
    else if (frames_.back().is_object)
      frames_.back().members.back().second = std::move(value);
    else
      frames_.back().items.push_back(std::move(value));
    return true;
  }

  std::vector<Frame> frames_;
  size_t values_ = 0;
};

}  // namespace

Result<Json> parse_json(std::string_view text, std::string_view where, int max_depth) {
  const std::string place(where);
  if (nesting(text) > max_depth) {
    return Error{Code::corrupt, "JSON nested deeper than " + std::to_string(max_depth) + " levels", place};
  }
  Builder builder;
  if (!Json::sax_parse(text.begin(), text.end(), &builder)) {
    return Error{Code::corrupt, std::move(builder.problem), place};
  }
  return std::move(builder.root);
}

std::string dump_json(const Json& value, int indent) {
  return value.dump(indent, ' ', false, Json::error_handler_t::replace);
}

}  // namespace miao
