// libFuzzer: any bytes as a SentencePiece model, alone and as the pieces of a T5, an mBART and a Marian directory; what
// loads must encode and decode a fixed text without harm.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"
#include "prep/tokenizer.h"

namespace {

using miao::Result;
using miao::prep::Tokenizer;

void try_text(const Result<Tokenizer>& tokenizer) {
  if (!tokenizer.ok()) {
    MIAO_CHECK(!tokenizer.error().message.empty() && tokenizer.error().where.starts_with("fuzz"));
    return;
  }
  constexpr std::string_view kText =
      "Hello, world! It's  2024\n \t<s>caf\u00e9 \u4f60\u597d \U0001F600\u200D a\u0301 \xFF\xE2\x82 \u2581 </s> the "
      "end ";
  const auto ids = tokenizer->encode(kText);
  if (!ids.ok()) return;
  for (const int32_t id : *ids) MIAO_CHECK(id >= 0 && id < tokenizer->vocab_size());
  const auto located = tokenizer->locate(kText);
  MIAO_CHECK(located.ok() && located->ids == *ids && located->ranges.size() == ids->size());
  for (const auto range : located->ranges) MIAO_CHECK(range.begin <= range.end && range.end <= kText.size());
  (void)tokenizer->decode(*ids);
  miao::prep::StreamDecoder stream(tokenizer->target(), false);
  for (const int32_t id : *ids) (void)stream.push(id);
  (void)stream.flush();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string model(reinterpret_cast<const char*>(data), size);
  try_text(Tokenizer::from_sentencepiece(model, "fuzz"));
  for (const char* name : {"T5Tokenizer", "MBartTokenizer", "MarianTokenizer"}) {
    const auto read = [&](const char* file) -> Result<std::optional<std::string>> {
      const std::string_view wanted = file;
      if (wanted == "tokenizer_config.json") {
        return std::optional<std::string>("{\"tokenizer_class\": \"" + std::string(name) + "\", \"extra_ids\": 3}");
      }
      if (wanted == "vocab.json")
        return std::optional<std::string>(R"({"</s>": 0, "<unk>": 1, "the": 2, ">>fr<<": 3})");
      if (wanted.ends_with(".model") || wanted.ends_with(".spm")) return std::optional<std::string>(model);
      return std::optional<std::string>();
    };
    try_text(Tokenizer::from_files(read, "fuzz"));
  }
  return 0;
}
