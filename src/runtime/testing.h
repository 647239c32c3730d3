// talking_model(): a tiny random decoder with a SentencePiece vocabulary of specials, all bytes and some words, for
// tests. Its answers are noise with broken UTF-8.
#pragma once

#include <cstdio>
#include <string>
#include <vector>

#include "models/testing.h"

namespace miao::runtime {

// Ids: 0 <unk>, 1 <s>, 2 </s>, then the 256 bytes, then seven words.
constexpr int32_t kTalkingEnd = 2, kTalkingFirstByte = 3, kTalkingFirstWord = 259;

// <unk>, <s>, </s> and a piece for each byte, with their types in GGUF: what every SentencePiece vocabulary begins
// with.
inline void add_byte_pieces(std::vector<std::string>& pieces, std::vector<int32_t>& types) {
  pieces = {"<unk>", "<s>", "</s>"};
  types = {2, 3, 3};
  for (int i = 0; i < 256; ++i) {
    char name[8];
    std::snprintf(name, sizeof name, "<0x%02X>", i);
    pieces.push_back(name);
    types.push_back(6);
  }
}

inline io::GgufBuilder talking_model() {
  std::vector<std::string> pieces;
  std::vector<int32_t> types;
  add_byte_pieces(pieces, types);
  for (const char* word : {"\u2581the", "cat", "\u00e9", "\u4e2d\u6587", "\U0001f600", "\n", "\u2581"}) {
    pieces.push_back(word);
    types.push_back(1);
  }
  std::vector<float> scores;
  for (size_t i = 0; i < pieces.size(); ++i) scores.push_back(-static_cast<float>(i));
  io::GgufBuilder file = models::TinyModel{.vocab = static_cast<int64_t>(pieces.size())}.gguf();
  file.key("tokenizer.ggml.model", "llama").array("tokenizer.ggml.tokens", pieces);
  file.array("tokenizer.ggml.scores", scores).array("tokenizer.ggml.token_type", types);
  file.key("tokenizer.ggml.bos_token_id", uint32_t{1}).key("tokenizer.ggml.eos_token_id", uint32_t{2});
  return file;
}

}  // namespace miao::runtime
