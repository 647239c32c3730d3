// TinyWhisper: a random Whisper of Hugging Face's kind with real windows and times, but few words, for tests.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <random>
#include <string>
#include <vector>

#include "base/file.h"
#include "io/testing.h"
#include "prep/tokenizer.h"

namespace miao::runtime {

constexpr int kTinyWords = 56;                                           // ids of text
constexpr int64_t kTinyVocab = kTinyWords + 10 + 1501;                   // with control tokens and times
constexpr int32_t kTinyEnd = kTinyWords, kTinyNoTimes = kTinyWords + 9;  // <|endoftext|>, <|notimestamps|>

// The tokenizer leaves the times out, as some do.
inline std::string tiny_whisper_tokenizer_json() {
  std::string vocab, added;
  int id = 0;
  const auto word = [&](const std::string& piece) {
    vocab += std::string(id ? ", \"" : "\"") + piece + "\": " + std::to_string(id);
    ++id;
  };
  word("\\u0120");
  for (char c = 'a'; c <= 'z'; ++c) word(std::string(1, c));
  for (char c = 'A'; c <= 'Z'; ++c) word(std::string(1, c));
  for (const char* c : {".", ",", "'"}) word(c);
  const char* const control[] = {"endoftext",  "startoftranscript", "en",          "de",       "translate",
                                 "transcribe", "startoflm",         "startofprev", "nospeech", "notimestamps"};
  for (const char* name : control) {
    added += (added.empty() ? "" : ", ") + std::string("{\"id\": ") + std::to_string(id++) + ", \"content\": \"<|" +
             name + "|>\", \"special\": true}";
  }
  return "{\"version\": \"1.0\", \"added_tokens\": [" + added +
         "], \"pre_tokenizer\": {\"type\": \"ByteLevel\", \"add_prefix_space\": false, \"use_regex\": true}, "
         "\"decoder\": {\"type\": \"ByteLevel\"}, \"model\": {\"type\": \"BPE\", \"vocab\": {" +
         vocab + "}, \"merges\": []}}";
}

inline prep::Tokenizer tiny_whisper_tokenizer() {
  return *prep::Tokenizer::from_json(tiny_whisper_tokenizer_json(), "", "tokenizer.json");
}

// A folder with config.json, generation_config.json, tokenizer.json and model.safetensors.
inline void write_tiny_whisper(const std::filesystem::path& folder, uint32_t seed = 1) {
  constexpr int64_t kDim = 16, kMels = 80, kRows = 1500, kPositions = 448;
  std::filesystem::create_directories(folder);
  std::mt19937 random(seed);
  io::SafetensorsBuilder file;
  const auto tensor = [&](const std::string& name, std::vector<int64_t> shape, float deviation, float mean = 0) {
    int64_t n = 1;
    for (const int64_t d : shape) n *= d;
    std::normal_distribution<float> normal(mean, deviation);
    std::vector<float> values(static_cast<size_t>(n));
    for (float& v : values) v = normal(random);
    if (name == "decoder.embed_tokens.weight") {  // few words among many times: they have to be likelier to be said
      for (size_t i = static_cast<size_t>((kTinyNoTimes + 1) * kDim); i < values.size(); ++i) values[i] *= 0.2f;
    }
    file.tensor("model." + name, shape, values);
  };
  const auto linear = [&](const std::string& name, int64_t out, int64_t in, bool bias = true) {
    tensor(name + ".weight", {out, in}, 0.25f);
    if (bias) tensor(name + ".bias", {out}, 0.1f);
  };
  const auto norm = [&](const std::string& name) {
    tensor(name + ".weight", {kDim}, 0.1f, 1);
    tensor(name + ".bias", {kDim}, 0.1f);
  };
  const auto attention = [&](const std::string& name) {
    for (const char* part : {"q", "k", "v"}) linear(name + "." + part + "_proj", kDim, kDim, *part != 'k');
    linear(name + ".out_proj", kDim, kDim);
    norm(name + "_layer_norm");
  };
  const auto block = [&](const std::string& name, bool decoder) {
    attention(name + ".self_attn");
    if (decoder) attention(name + ".encoder_attn");
    linear(name + ".fc1", 2 * kDim, kDim);
    linear(name + ".fc2", kDim, 2 * kDim);
    norm(name + ".final_layer_norm");
  };
  tensor("encoder.conv1.weight", {kDim, kMels, 3}, 0.1f);
  tensor("encoder.conv1.bias", {kDim}, 0.1f);
  tensor("encoder.conv2.weight", {kDim, kDim, 3}, 0.2f);
  tensor("encoder.conv2.bias", {kDim}, 0.1f);
  tensor("encoder.embed_positions.weight", {kRows, kDim}, 0.5f);
  block("encoder.layers.0", false);
  norm("encoder.layer_norm");
  tensor("decoder.embed_tokens.weight", {kTinyVocab, kDim}, 0.5f);
  tensor("decoder.embed_positions.weight", {kPositions, kDim}, 0.5f);
  block("decoder.layers.0", true);
  norm("decoder.layer_norm");
  const auto write = [&](const char* name, const std::string& text) {
    EXPECT_TRUE(write_file_atomic(folder / name, text).ok());
  };
  EXPECT_TRUE(file.write(folder / "model.safetensors").ok());
  write("tokenizer.json", tiny_whisper_tokenizer_json());
  write("generation_config.json", R"({"suppress_tokens": [1, 2], "begin_suppress_tokens": [0, 56]})");
  write("config.json", R"({"architectures": ["WhisperForConditionalGeneration"], "model_type": "whisper", "d_model": 16,
      "encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 2, "decoder_attention_heads": 2,
      "encoder_ffn_dim": 32, "decoder_ffn_dim": 32, "num_mel_bins": 80, "max_source_positions": 1500,
      "max_target_positions": 448, "activation_function": "gelu", "decoder_start_token_id": 57, "eos_token_id": 56,
      "vocab_size": )" + std::to_string(kTinyVocab) +
                           "}");
}

// Samples at 16,000 a second as a WAV file of 16 bits.
inline std::string wav(const std::vector<float>& samples) {
  std::string data;
  for (const float v : samples) data += io::le_bytes(static_cast<int16_t>(v * 32767));
  const std::string format("\x10\0\0\0\1\0\1\0\x80\x3e\0\0\0\x7d\0\0\2\0\x10\0", 20);
  const std::string body = "WAVEfmt " + format + "data" + io::le_bytes(static_cast<uint32_t>(data.size())) + data;
  return "RIFF" + io::le_bytes(static_cast<uint32_t>(body.size())) + body;
}

}  // namespace miao::runtime
