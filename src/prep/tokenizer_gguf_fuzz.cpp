// libFuzzer: a vocabulary as GGUF metadata; what loads must encode and decode a fixed text without harm.
//
// The input is lines, so that a mutation keeps most of a vocabulary:
//   t TYPE SCORE PIECE    a token            m LEFT RIGHT    a merge          c BYTES    the character map, raw
//   s NAME TEXT           a text value       i NAME NUMBER   a number         b NAME 0   a truth value
#include <cstdlib>
#include <string>
#include <string_view>

#include "base/check.h"
#include "base/key_values.h"
#include "prep/tokenizer.h"

namespace {

using miao::KeyValues;

// The text up to the next blank, which goes too.
std::string_view word(std::string_view& line) {
  const size_t end = line.find(' ');
  const std::string_view out = line.substr(0, end);
  line.remove_prefix(end == std::string_view::npos ? line.size() : end + 1);
  return out;
}

KeyValues metadata(std::string_view input) {
  KeyValues meta("fuzz.gguf");
  KeyValues::Strings tokens, merges;
  KeyValues::Ints types, map;
  KeyValues::Floats scores;
  const auto key = [](std::string_view name) { return "tokenizer.ggml." + std::string(name); };
  const auto number = [&](std::string_view text) { return std::strtod(std::string(text).c_str(), nullptr); };
  const auto integer = [&](std::string_view text) { return std::strtoll(std::string(text).c_str(), nullptr, 10); };
  while (!input.empty()) {
    const size_t end = input.find('\n');
    std::string_view line = input.substr(0, end);
    input.remove_prefix(end == std::string_view::npos ? input.size() : end + 1);
    const std::string_view what = word(line);
    if (what == "t") {
      types.push_back(integer(word(line)));
      scores.push_back(number(word(line)));
      tokens.push_back(meta.intern(std::string(line)));
    } else if (what == "m") {
      merges.push_back(meta.intern(std::string(line)));
    } else if (what == "c") {
      for (char c : line) map.push_back(static_cast<uint8_t>(c));
    } else if (what == "s") {
      const std::string_view name = word(line);
      meta.set(key(name), meta.intern(std::string(line)));
    } else if (what == "i") {
      const std::string_view name = word(line);
      meta.set(key(name), static_cast<int64_t>(integer(line)));
    } else if (what == "b") {
      const std::string_view name = word(line);
      meta.set(key(name), line == "1");
    }
  }
  meta.set(key("tokens"), tokens);
  meta.set(key("token_type"), types);
  meta.set(key("scores"), scores);
  if (!merges.empty()) meta.set(key("merges"), merges);
  if (!map.empty()) meta.set(key("precompiled_charsmap"), map);
  return meta;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto tokenizer = miao::prep::Tokenizer::from_gguf(metadata({reinterpret_cast<const char*>(data), size}));
  if (!tokenizer.ok()) {
    MIAO_CHECK(!tokenizer.error().message.empty() && tokenizer.error().where.starts_with("fuzz.gguf"));
    return 0;
  }
  constexpr std::string_view kText =
      "Hello, world! It's 2024\n\n  \t<s>caf\u00e9 \u4f60\u597d \U0001F600\u200D\U0001F600 a\u0301\u0316 \xFF\xE2\x82 "
      "<|end|> 12345'LL the play playing";
  const auto ids = tokenizer->encode(kText);
  if (!ids.ok()) return 0;
  miao::prep::StreamDecoder stream(*tokenizer, false);
  for (int32_t id : *ids) {
    MIAO_CHECK(id >= 0 && id < tokenizer->vocab_size());
    (void)stream.push(id);
  }
  (void)stream.flush();
  (void)tokenizer->decode(*ids);
  return 0;
}
