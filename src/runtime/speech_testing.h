// TinyWhisper: a random Whisper of Hugging Face's kind with real windows and times, but few words, for tests.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <random>
#include <string>
#include <vector>

#include "base/file.h"
#include "io/checkpoint.h"
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
inline void write_tiny_whisper(const std::filesystem::path& folder, uint32_t seed = 1, int64_t dim = 16) {
  constexpr int64_t kMels = 80, kRows = 1500, kPositions = 448;
  const int64_t kDim = dim;
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
  write(
      "config.json", R"({"architectures": ["WhisperForConditionalGeneration"], "model_type": "whisper", "d_model": )" +
                         std::to_string(kDim) + R"(,
      "encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 2, "decoder_attention_heads": 2,
      "encoder_ffn_dim": )" +
                         std::to_string(2 * kDim) + R"(, "decoder_ffn_dim": )" + std::to_string(2 * kDim) +
                         R"(, "num_mel_bins": 80, "max_source_positions": 1500,
      "max_target_positions": 448, "activation_function": "gelu", "decoder_start_token_id": 57, "eos_token_id": 56,
      "vocab_size": )" + std::to_string(kTinyVocab) +
                         "}");
}

// The same model as CTranslate2 has it, in F16: model.bin, config.json and tokenizer.json.
inline void write_tiny_whisper_ct2(const std::filesystem::path& folder, const std::filesystem::path& hugging_face) {
  const auto source = io::Checkpoint::open(hugging_face);
  ASSERT_TRUE(source.ok());
  std::filesystem::create_directories(folder);
  io::Ct2Builder file;
  // Tensors one below the other; one that is missing is zeros like the first.
  const auto add = [&](const std::string& name, const std::vector<std::string>& parts) {
    const TensorView* const first = source->find("model." + parts[0]);
    ASSERT_TRUE(first) << parts[0];
    std::vector<uint32_t> dims(first->shape.begin(), first->shape.end());
    dims[0] *= static_cast<uint32_t>(parts.size());
    std::vector<float> all;
    for (const std::string& part : parts) {
      const TensorView* const t = source->find("model." + part);
      std::vector<float> own(static_cast<size_t>(first->elements()));
      if (t) format(t->dtype).decode(t->data, own.data(), t->elements());
      all.insert(all.end(), own.begin(), own.end());
    }
    file.variable(name, dims, 4, io::pack_floats(DType::f16, all));
  };
  const auto linear = [&](const std::string& name, const std::string& of, const std::vector<std::string>& parts) {
    for (const char* kind : {"weight", "bias"}) {
      std::vector<std::string> all;
      for (const std::string& part : parts) all.push_back(of + part + "." + kind);
      add(name + "/" + kind, all);
    }
  };
  const auto norm = [&](const std::string& name, const std::string& of) {
    add(name + "/gamma", {of + ".weight"});
    add(name + "/beta", {of + ".bias"});
  };
  for (const std::string side : {"encoder", "decoder"}) {
    const std::string to = side + "/", from = side + ".", to0 = to + "layer_0/", from0 = from + "layers.0.";
    const bool decoder = side == "decoder";
    if (decoder) {
      add(to + "embeddings/weight", {from + "embed_tokens.weight"});
    } else {
      linear(to + "conv1", from, {"conv1"});
      linear(to + "conv2", from, {"conv2"});
    }
    add(to + "position_encodings/encodings", {from + "embed_positions.weight"});
    norm(to + "layer_norm", from + "layer_norm");
    norm(to0 + "self_attention/layer_norm", from0 + "self_attn_layer_norm");
    // q first: k has no bias.
    linear(to0 + "self_attention/linear_0", from0 + "self_attn.", {"q_proj", "k_proj", "v_proj"});
    linear(to0 + "self_attention/linear_1", from0 + "self_attn.", {"out_proj"});
    if (decoder) {
      norm(to0 + "attention/layer_norm", from0 + "encoder_attn_layer_norm");
      linear(to0 + "attention/linear_0", from0 + "encoder_attn.", {"q_proj"});
      add(to0 + "attention/linear_1/weight",
          {from0 + "encoder_attn.k_proj.weight", from0 + "encoder_attn.v_proj.weight"});
      const TensorView* const bias = source->find("model." + from0 + "encoder_attn.v_proj.bias");
      std::vector<float> both(static_cast<size_t>(2 * bias->elements()));
      format(bias->dtype).decode(bias->data, both.data() + bias->elements(), bias->elements());
      file.variable(to0 + "attention/linear_1/bias", {static_cast<uint32_t>(both.size())}, 4,
                    io::pack_floats(DType::f16, both));
      linear(to0 + "attention/linear_2", from0 + "encoder_attn.", {"out_proj"});
    }
    norm(to0 + "ffn/layer_norm", from0 + "final_layer_norm");
    linear(to0 + "ffn/linear_0", from0, {"fc1"});
    linear(to0 + "ffn/linear_1", from0, {"fc2"});
    file.variable(to + "num_heads", {}, 1, std::string(1, '\2'));
  }
  EXPECT_TRUE(file.write(folder / "model.bin").ok());
  EXPECT_TRUE(write_file_atomic(folder / "tokenizer.json", tiny_whisper_tokenizer_json()).ok());
  EXPECT_TRUE(
      write_file_atomic(folder / "config.json", R"({"suppress_ids": [1, 2], "suppress_ids_begin": [0, 56]})").ok());
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
