// Post-processors: the tokens around a text, and how two texts stand together.
#include <algorithm>

#include "prep/tok/json_parts.h"

namespace miao::prep {

namespace {

constexpr size_t kMaxEnds = 1024;

Error too_many_ends() {
  return {Code::unsupported, "the post-processor puts more than " + std::to_string(kMaxEnds) + " tokens around a text"};
}

Result<int32_t> checked_id(int64_t id, int32_t vocab) {
  if (id < 0 || id >= vocab) {
    return Error{Code::corrupt, "the post-processor's id " + std::to_string(id) + " is outside the vocabulary of " +
                                    std::to_string(vocab) + " tokens"};
  }
  return static_cast<int32_t>(id);
}

// The ids of a template's special token.
Result<Ids> template_ids(const JsonObject& object, std::string_view name, int32_t vocab) {
  const auto tokens = json_field(object, "special_tokens");
  std::optional<JsonElement> entry;
  if (tokens && tokens->is_object()) entry = json_field(tokens->get_object().value_unsafe(), name);
  if (!entry) {
    return Error{Code::corrupt,
                 "the post-processor's token \"" + std::string(name.substr(0, 60)) + "\" is not in its special_tokens"};
  }
  MIAO_TRY(const JsonObject definition, json_object(*entry, "a special token"));
  MIAO_TRY(const JsonArray values, json_array(definition, "ids"));
  Ids out;
  for (JsonElement value : values) {
    int64_t id;
    if (value.get_int64().get(id)) return wrong("ids", "integers");
    MIAO_TRY(const int32_t checked, checked_id(id, vocab));
    if (out.size() >= kMaxEnds) return too_many_ends();
    out.push_back(checked);
  }
  return out;
}

// The items of "single" or "pair" of a template.
Result<std::vector<Frame::Part>> read_items(const JsonObject& object, std::string_view list, int32_t vocab) {
  using Part = Frame::Part;
  MIAO_TRY(const JsonArray items, json_array(object, list));
  if (items.size() > kMaxEnds) return too_many_ends();
  std::vector<Part> out;
  for (JsonElement element : items) {
    MIAO_TRY(const JsonObject item, json_object(element, "an item of a template"));
    const auto sequence = json_field(item, "Sequence"), special = json_field(item, "SpecialToken");
    if (!sequence && !special) return unsupported("the template item", simdjson::minify(item));
    MIAO_TRY(const JsonObject reference, json_object(sequence ? *sequence : *special, "an item of a template"));
    MIAO_TRY(const std::string_view name, json_string(reference, "id"));
    MIAO_TRY(const int64_t type, json_integer(reference, "type_id", 0));
    if (type < 0 || type > 255) return Error{Code::invalid, "a type_id of the post-processor is not within 0 to 255"};
    if (sequence) {
      if (name != "A" && name != "B") return unsupported("the template's sequence", name);
      out.push_back({name == "A" ? Part::kFirst : Part::kSecond, static_cast<int32_t>(type)});
      continue;
    }
    MIAO_TRY(const Ids ids, template_ids(object, name, vocab));
    for (const int32_t id : ids) out.push_back({id, static_cast<int32_t>(type)});
    if (out.size() > kMaxEnds) return too_many_ends();
  }
  return out;
}

Result<void> read_template(const JsonObject& object, int32_t vocab, Frame& out) {
  using Part = Frame::Part;
  MIAO_TRY(const std::vector<Part> single, read_items(object, "single", vocab));
  bool text = false;
  Ids before, after;
  for (const Part& part : single) {
    if (part.id >= 0) {
      (text ? after : before).push_back(part.id);
    } else if (text) {
      return Error{Code::unsupported, "a post-processor that repeats the text is not known to this version"};
    } else {
      text = true;
    }
  }
  if (!text) return Error{Code::invalid, "the post-processor drops the text: \"single\" has no Sequence"};
  out.prefix.insert(out.prefix.begin(), before.begin(), before.end());
  out.suffix.insert(out.suffix.end(), after.begin(), after.end());
  // What is wrong with it matters to those alone who ask for pairs.
  auto pair = json_field(object, "pair") ? read_items(object, "pair", vocab) : std::vector<Part>();
  const auto times = [&](int32_t id) {
    return std::count_if(pair->begin(), pair->end(), [&](const Part& p) { return p.id == id; });
  };
  if (pair.ok() && times(Part::kFirst) == 1 && times(Part::kSecond) == 1) out.pair = std::move(*pair);
  return {};
}

// ["[SEP]", 102]
Result<int32_t> named_id(const JsonObject& object, std::string_view name, int32_t vocab) {
  MIAO_TRY(const JsonArray pair, json_array(object, name));
  int64_t id;
  if (pair.size() != 2 || pair.at(1).get_int64().get(id)) return wrong(name, "a token and its id");
  return checked_id(id, vocab);
}

Result<void> read_step(const JsonObject& object, std::string_view type, int32_t vocab, Frame& out) {
  using Part = Frame::Part;
  if (type == "ByteLevel" || type == "RobertaProcessing") {
    MIAO_TRY(const bool trim, json_bool(object, "trim_offsets", true));
    out.trim = out.trim || trim;
    if (type == "ByteLevel") return {};
  }
  if (type == "TemplateProcessing") return read_template(object, vocab, out);
  if (type != "BertProcessing" && type != "RobertaProcessing") return unsupported("the post-processor", type);
  MIAO_TRY(const int32_t cls, named_id(object, "cls", vocab));
  MIAO_TRY(const int32_t sep, named_id(object, "sep", vocab));
  out.prefix.insert(out.prefix.begin(), cls);
  out.suffix.push_back(sep);
  if (type == "BertProcessing") {
    out.pair = {{cls, 0}, {Part::kFirst, 0}, {sep, 0}, {Part::kSecond, 1}, {sep, 1}};
  } else {
    out.pair = {{cls, 0}, {Part::kFirst, 0}, {sep, 0}, {sep, 0}, {Part::kSecond, 0}, {sep, 0}};
  }
  return {};
}

}  // namespace

Result<void> read_post_processor(JsonElement element, int32_t vocab, Frame& out) {
  return flatten(element, "processors", 0, [&](const JsonObject& object, std::string_view type) -> Result<void> {
    MIAO_CHECK_OK(read_step(object, type, vocab, out));
    if (out.prefix.size() + out.suffix.size() > kMaxEnds) return too_many_ends();
    return {};
  });
}

}  // namespace miao::prep
