// The components of tokenizer.json; see json_parts.h. Sequences may be nested; the depth is bounded.
#include "prep/tok/json_parts.h"

#include <algorithm>

#include "prep/tok/unicode.h"

namespace miao::prep {
namespace {

// A file must not make long texts out of short ones: the product of what its replacements can grow a text by.
constexpr size_t kMaxGrowth = 512;
// Texts that steps search for; a naive search then costs a bounded number of bytes at each place.
constexpr size_t kMaxPattern = 256;
// What a post-processor puts around a text: ids, and items of a template; files in use have under ten.

Result<void> check_pattern(std::string_view text) {
  if (text.empty()) return Error{Code::invalid, "a pattern is empty"};
  if (text.size() <= kMaxPattern) return {};
  return Error{Code::unsupported, "a pattern of " + std::to_string(text.size()) + " bytes is too long; at most " +
                                      std::to_string(kMaxPattern) + " are supported"};
}

// {"String": "..."} or {"Regex": "..."}, or a plain string.
struct Pattern {
  std::string text;
  Scanner scanner = nullptr;
};
Result<Pattern> read_pattern(const JsonObject& object) {
  const auto field = json_field(object, "pattern");
  if (!field) return absent("pattern");
  if (field->is_string()) {
    const std::string_view text = field->get_string().value_unsafe();
    MIAO_CHECK_OK(check_pattern(text));
    return Pattern{std::string(text)};
  }
  MIAO_TRY(const JsonObject pattern, json_object(*field, "pattern"));
  if (json_field(pattern, "String")) {
    MIAO_TRY(const std::string_view text, json_string(pattern, "String"));
    MIAO_CHECK_OK(check_pattern(text));
    return Pattern{std::string(text)};
  }
  MIAO_TRY(const std::string_view regex, json_string(pattern, "Regex"));
  if (const Scanner scanner = find_scanner(regex)) return Pattern{{}, scanner};
  const bool plain = !regex.empty() && std::ranges::none_of(regex, [](char c) {
    return std::string_view("\\^$.|?*+()[]{}").find(c) != std::string_view::npos;
  });
  if (!plain) return unsupported("the expression", regex);
  MIAO_CHECK_OK(check_pattern(regex));
  return Pattern{std::string(regex)};
}

Result<void> grow(size_t from, size_t to, size_t* growth) {
  const size_t factor = std::max<size_t>(1, (to + from) / std::max<size_t>(1, from));
  if (factor > kMaxGrowth / *growth)
    return Error{Code::unsupported, "the replacements make a text more than 512 times as long"};
  *growth *= factor;
  return {};
}

Result<Behavior> read_behavior(const JsonObject& object, std::string_view fallback) {
  MIAO_TRY(const std::string_view name, json_string(object, "behavior", fallback));
  if (name == "Removed") return Behavior::removed;
  if (name == "Isolated") return Behavior::isolated;
  if (name == "MergedWithPrevious") return Behavior::merged_with_previous;
  if (name == "MergedWithNext") return Behavior::merged_with_next;
  if (name == "Contiguous") return Behavior::contiguous;
  return unsupported("the split behavior", name);
}

Result<Prepend> read_prepend(const JsonObject& object) {
  MIAO_TRY(const bool add, json_bool(object, "add_prefix_space", true));
  MIAO_TRY(const std::string_view scheme, json_string(object, "prepend_scheme", add ? "always" : "never"));
  if (scheme == "always") return Prepend::always;
  if (scheme == "first") return Prepend::first;
  if (scheme == "never") return Prepend::never;
  return unsupported("prepend_scheme", scheme);
}

std::optional<std::string> decode_base64(std::string_view text) {
  std::string out;
  uint32_t bits = 0;
  int count = 0;
  while (!text.empty() && text.back() == '=') text.remove_suffix(1);
  for (char c : text) {
    uint32_t v;
    if (c >= 'A' && c <= 'Z') {
      v = static_cast<uint32_t>(c - 'A');
    } else if (c >= 'a' && c <= 'z') {
      v = static_cast<uint32_t>(c - 'a' + 26);
    } else if (c >= '0' && c <= '9') {
      v = static_cast<uint32_t>(c - '0' + 52);
    } else if (c == '+' || c == '/') {
      v = c == '+' ? 62 : 63;
    } else {
      return std::nullopt;
    }
    bits = bits << 6 | v;
    count += 6;
    if (count >= 8) out += static_cast<char>(bits >> (count -= 8));
  }
  return out;
}

Result<NormalizerStep> normalizer_step(const JsonObject& object, std::string_view type) {
  using Kind = NormalizerStep::Kind;
  if (type == "NFC") return NormalizerStep{.kind = Kind::nfc};
  if (type == "NFD") return NormalizerStep{.kind = Kind::nfd};
  if (type == "NFKC") return NormalizerStep{.kind = Kind::nfkc};
  if (type == "NFKD") return NormalizerStep{.kind = Kind::nfkd};
  if (type == "Lowercase") return NormalizerStep{.kind = Kind::lowercase};
  if (type == "StripAccents") return NormalizerStep{.kind = Kind::strip_accents};
  if (type == "Nmt") return NormalizerStep{.kind = Kind::nmt};
  if (type == "Strip") {
    NormalizerStep step{.kind = Kind::strip};
    MIAO_TRY(step.left, json_bool(object, "strip_left", true));
    MIAO_TRY(step.right, json_bool(object, "strip_right", true));
    return step;
  }
  if (type == "Prepend") {
    MIAO_TRY(const std::string_view text, json_string(object, "prepend"));
    return NormalizerStep{.kind = Kind::prepend, .a = std::string(text)};
  }
  if (type == "Replace") {
    MIAO_TRY(Pattern pattern, read_pattern(object));
    MIAO_TRY(const std::string_view content, json_string(object, "content"));
    return NormalizerStep{
        .kind = Kind::replace, .a = std::move(pattern.text), .b = std::string(content), .scanner = pattern.scanner};
  }
  if (type == "BertNormalizer") {
    NormalizerStep step{.kind = Kind::bert};
    MIAO_TRY(step.clean_text, json_bool(object, "clean_text", true));
    MIAO_TRY(step.chinese, json_bool(object, "handle_chinese_chars", true));
    MIAO_TRY(step.lower, json_bool(object, "lowercase", true));
    MIAO_TRY(step.accents, json_bool(object, "strip_accents", step.lower));
    return step;
  }
  if (type == "Precompiled") {
    MIAO_TRY(const std::string_view text, json_string(object, "precompiled_charsmap"));
    const auto blob = decode_base64(text);
    if (!blob) return Error{Code::corrupt, "precompiled_charsmap is not base64"};
    MIAO_TRY(Charsmap map, Charsmap::parse(*blob));
    return NormalizerStep{
        .kind = Kind::charsmap, .left = true, .map = std::make_shared<const Charsmap>(std::move(map))};
  }
  return unsupported("the normalizer", type);
}

Result<void> pre_step(const JsonObject& object, std::string_view type, PreTokenizer& out, bool* byte_level) {
  using Kind = PreStep::Kind;
  const auto add = [&](PreStep step) { out.steps.push_back(std::move(step)); };
  if (*byte_level && type != "Digits" && type != "Split") {
    return Error{Code::unsupported,
                 "the pre-tokenizer \"" + std::string(type) + "\" behind ByteLevel is not known to this version"};
  }
  if (type == "ByteLevel") {
    MIAO_TRY(const bool space, json_bool(object, "add_prefix_space", true));
    MIAO_TRY(const bool regex, json_bool(object, "use_regex", true));
    if (space) add({.kind = Kind::prefix});
    if (regex) add({.scanner = gpt2_scanner()});
    *byte_level = true;
  } else if (type == "Split") {
    PreStep step;
    MIAO_TRY(Pattern pattern, read_pattern(object));
    MIAO_TRY(step.behavior, read_behavior(object, "Isolated"));
    MIAO_TRY(step.invert, json_bool(object, "invert", false));
    // Behind ByteLevel a byte is a character: only expressions over ASCII mean the same.
    if (*byte_level && pattern.scanner != find_scanner("[0-9][0-9][0-9]")) {
      return Error{Code::unsupported, "a Split behind ByteLevel is not known to this version"};
    }
    step.pattern = std::move(pattern.text);
    step.scanner = pattern.scanner;
    add(std::move(step));
  } else if (type == "Digits") {
    MIAO_TRY(const bool single, json_bool(object, "individual_digits", false));
    add({.kind = *byte_level ? Kind::byte_digits : Kind::characters,
         .flags = kNumeric,
         .behavior = single ? Behavior::isolated : Behavior::contiguous});
  } else if (type == "Whitespace") {
    add({.scanner = word_scanner(), .behavior = Behavior::removed, .invert = true});
  } else if (type == "WhitespaceSplit") {
    add({.kind = Kind::characters, .flags = kWhite, .behavior = Behavior::removed});
  } else if (type == "Punctuation") {
    MIAO_TRY(const Behavior behavior, read_behavior(object, "Isolated"));
    add({.kind = Kind::characters, .flags = kBertPunct, .behavior = behavior});
  } else if (type == "BertPreTokenizer") {
    add({.kind = Kind::characters, .flags = kWhite, .behavior = Behavior::removed});
    add({.kind = Kind::characters, .flags = kBertPunct});
  } else if (type == "CharDelimiterSplit") {
    MIAO_TRY(const std::string_view delimiter, json_string(object, "delimiter"));
    MIAO_CHECK_OK(check_pattern(delimiter));
    add({.kind = Kind::delimiter, .pattern = std::string(delimiter), .behavior = Behavior::removed});
  } else if (type == "Metaspace") {
    PreStep step{.kind = Kind::metaspace, .behavior = Behavior::merged_with_next};
    MIAO_TRY(step.pattern, json_string(object, "replacement", kMetaSpace));
    MIAO_TRY(step.prepend, read_prepend(object));
    MIAO_TRY(step.cut, json_bool(object, "split", true));
    if (utf8_length(step.pattern) != 1) {
      return Error{Code::invalid, "Metaspace's replacement must be one character"};
    }
    add(std::move(step));
  } else {
    return unsupported("the pre-tokenizer", type);
  }
  if (out.steps.size() > PreTokenizer::kMaxSteps)
    return Error{Code::unsupported, "the pre-tokenizer has too many steps"};
  return {};
}

Result<DecodeStep> decode_step(const JsonObject& object, std::string_view type) {
  using Kind = DecodeStep::Kind;
  if (type == "ByteLevel") return DecodeStep{.kind = Kind::byte_level};
  if (type == "ByteFallback") return DecodeStep{.kind = Kind::byte_fallback};
  if (type == "Fuse") return DecodeStep{.kind = Kind::fuse};
  if (type == "WordPiece") {
    DecodeStep step{.kind = Kind::word_piece};
    MIAO_TRY(step.a, json_string(object, "prefix", "##"));
    MIAO_TRY(step.flag, json_bool(object, "cleanup", true));
    return step;
  }
  if (type == "Metaspace") {
    DecodeStep step{.kind = Kind::metaspace};
    MIAO_TRY(step.a, json_string(object, "replacement", kMetaSpace));
    MIAO_TRY(const Prepend prepend, read_prepend(object));
    step.flag = prepend != Prepend::never;
    return step;
  }
  if (type == "BPEDecoder") {
    DecodeStep step{.kind = Kind::suffix};
    MIAO_TRY(step.a, json_string(object, "suffix", "</w>"));
    if (step.a.size() > kMaxPattern) MIAO_CHECK_OK(check_pattern(step.a));  // without one the pieces stay as they are
    return step;
  }
  if (type == "Replace") {
    MIAO_TRY(Pattern pattern, read_pattern(object));
    if (pattern.scanner)
      return Error{Code::unsupported, "a Replace decoder with an expression is not known to this version"};
    MIAO_TRY(const std::string_view content, json_string(object, "content"));
    return DecodeStep{.kind = Kind::replace, .a = std::move(pattern.text), .b = std::string(content)};
  }
  if (type == "Strip") {
    DecodeStep step{.kind = Kind::strip};
    MIAO_TRY(step.a, json_string(object, "content", " "));
    MIAO_TRY(const int64_t start, json_integer(object, "start", 0));
    MIAO_TRY(const int64_t stop, json_integer(object, "stop", 0));
    MIAO_CHECK_OK(check_pattern(step.a));
    if (start < 0 || stop < 0 || start > 1000 || stop > 1000) {
      return Error{Code::invalid, "the decoder Strip needs counts of 0 to 1000"};
    }
    step.start = static_cast<int>(start);
    step.stop = static_cast<int>(stop);
    return step;
  }
  return unsupported("the decoder", type);
}

}  // namespace

Error unsupported(std::string_view part, std::string_view what) {
  return {Code::unsupported,
          std::string(part) + " \"" + std::string(what.substr(0, 200)) + "\" is not known to this version"};
}
Error wrong(std::string_view name, const char* wanted) {
  return {Code::invalid, "field \"" + std::string(name) + "\" must be " + wanted};
}
Error absent(std::string_view name) { return {Code::not_found, "field \"" + std::string(name) + "\" is missing"}; }

Result<JsonObject> json_object(JsonElement value, std::string_view what) {
  JsonObject object;
  if (value.get_object().get(object)) return Error{Code::invalid, std::string(what) + " must be an object"};
  return object;
}

std::optional<JsonElement> json_field(const JsonObject& object, std::string_view name) {
  JsonElement value;
  if (object.at_key(name).get(value) || value.is_null()) return std::nullopt;
  return value;
}

Result<std::string_view> json_string(const JsonObject& object, std::string_view name) {
  const auto value = json_field(object, name);
  if (!value) return absent(name);
  return json_string(object, name, "");
}

Result<std::string_view> json_string(const JsonObject& object, std::string_view name, std::string_view fallback) {
  const auto value = json_field(object, name);
  if (!value) return fallback;
  std::string_view text;
  if (value->get_string().get(text)) return wrong(name, "a string");
  return text;
}

Result<bool> json_bool(const JsonObject& object, std::string_view name, bool fallback) {
  const auto value = json_field(object, name);
  if (!value) return fallback;
  bool flag;
  if (value->get_bool().get(flag)) return wrong(name, "true or false");
  return flag;
}

Result<int64_t> json_integer(const JsonObject& object, std::string_view name) {
  if (!json_field(object, name)) return absent(name);
  return json_integer(object, name, 0);
}

Result<int64_t> json_integer(const JsonObject& object, std::string_view name, int64_t fallback) {
  const auto value = json_field(object, name);
  if (!value) return fallback;
  int64_t number;
  if (value->get_int64().get(number)) return wrong(name, "an integer");
  return number;
}

Result<JsonArray> json_array(const JsonObject& object, std::string_view name) {
  const auto value = json_field(object, name);
  if (!value) return absent(name);
  JsonArray array;
  if (value->get_array().get(array)) return wrong(name, "an array");
  return array;
}

Result<void> read_normalizer(JsonElement element, Normalizer& out) {
  size_t growth = 1;
  return flatten(element, "normalizers", 0, [&](const JsonObject& object, std::string_view type) -> Result<void> {
    MIAO_TRY(NormalizerStep step, normalizer_step(object, type));
    if (out.steps.size() >= 64) return Error{Code::unsupported, "the normalizer has too many steps"};
    if (step.kind == NormalizerStep::Kind::replace) MIAO_CHECK_OK(grow(step.a.size(), step.b.size(), &growth));
    if (step.kind == NormalizerStep::Kind::prepend) MIAO_CHECK_OK(grow(1, step.a.size(), &growth));
    out.steps.push_back(std::move(step));
    return {};
  });
}

Result<void> read_pre_tokenizer(JsonElement element, PreTokenizer& out, bool* byte_level) {
  return flatten(element, "pretokenizers", 0, [&](const JsonObject& object, std::string_view type) {
    return pre_step(object, type, out, byte_level);
  });
}

Result<void> read_decoder(JsonElement element, Decoder& out) {
  size_t growth = 1;
  return flatten(element, "decoders", 0, [&](const JsonObject& object, std::string_view type) -> Result<void> {
    MIAO_TRY(DecodeStep step, decode_step(object, type));
    if (out.steps.size() >= Decoder::kMaxSteps) return Error{Code::unsupported, "the decoder has too many steps"};
    if (step.kind == DecodeStep::Kind::replace) MIAO_CHECK_OK(grow(step.a.size(), step.b.size(), &growth));
    out.steps.push_back(std::move(step));
    return {};
  });
}

}  // namespace miao::prep
