// libFuzzer: any bytes as tokenizer.json; what loads must encode and decode a fixed text without harm.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "prep/tokenizer.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view json(reinterpret_cast<const char*>(data), size);
  const auto tokenizer = miao::prep::Tokenizer::from_json(json, "", "fuzz");
  if (!tokenizer.ok()) return 0;
  constexpr std::string_view kText =
      "Hello, world! It's 2024\n\n  \t<s>caf\u00e9 \u4f60\u597d \U0001F600\u200D\U0001F600 a\u0301\u0316 \xFF\xE2\x82 "
      "<|end|> 12345'LL";
  const auto ids = tokenizer->encode(kText);
  if (!ids.ok()) return 0;
  (void)tokenizer->decode(*ids);
  miao::prep::StreamDecoder stream(*tokenizer, false);
  for (int32_t id : *ids) (void)stream.push(id);
  (void)stream.flush();
  return 0;
}
