// TinyModel: random decoders of a few kilobytes in GGUF or Hugging Face form, in any weight format, for tests.
//
//   TinyModel{.dtype = DType::q4_0}.gguf().write(path);
#pragma once

#include <cmath>
#include <cstring>
#include <filesystem>
#include <random>
#include <string>
#include <vector>

#include "io/testing.h"
#include "tensor/dtype.h"

namespace miao::models {

// Raw blocks of `n` values of about the size `deviation`: random codes, and scales that make them so.
inline std::string random_blocks(DType dtype, int64_t n, double deviation, std::mt19937& random) {
  struct Scale {
    DType dtype;
    int offset;     // of an F16 number in the block
    double factor;  // its value / deviation
  };
  // Codes are uniform, so d = deviation / (deviation of codes times mean scale); the second number centres the values.
  static constexpr Scale kScales[] = {
      {DType::q4_0, 0, 1 / 4.6},    {DType::q4_1, 0, 1 / 4.6},     {DType::q4_1, 2, -7.5 / 4.6},
      {DType::q5_0, 0, 1 / 9.2},    {DType::q5_1, 0, 1 / 9.2},     {DType::q5_1, 2, -15.5 / 9.2},
      {DType::q8_0, 0, 1 / 74.0},   {DType::q2_k, 80, 1 / 10.0},   {DType::q2_k, 82, 0.15},
      {DType::q3_k, 108, 1 / 40.0}, {DType::q4_k, 0, 1 / 165.0},   {DType::q4_k, 2, 7.5 / 165},
      {DType::q5_k, 0, 1 / 330.0},  {DType::q5_k, 2, 15.5 / 330},  {DType::q6_k, 208, 1 / 1350.0},
      {DType::iq4_nl, 0, 1 / 70.0}, {DType::iq4_xs, 0, 1 / 1300.0}};
  if (dtype == DType::f32 || dtype == DType::f16 || dtype == DType::bf16) {
    std::normal_distribution<float> normal(0, static_cast<float>(deviation));
    std::vector<float> values(static_cast<size_t>(n));
    for (float& v : values) v = normal(random);
    return io::pack_floats(dtype, values);
  }
  const Format& f = format(dtype);
  std::string out(static_cast<size_t>(n / f.block * f.bytes), '\0');
  for (char& byte : out) byte = static_cast<char>(random());
  for (int64_t block = 0; block < n / f.block; ++block) {
    char* const at = out.data() + block * f.bytes;
    for (const Scale& s : kScales) {
      if (s.dtype != dtype) continue;
      const double jitter = 0.75 + 0.5 * static_cast<double>(random() % 1000) / 1000;
      const uint16_t bits = f32_to_f16(static_cast<float>(s.factor * deviation * jitter));
      std::memcpy(at + s.offset, &bits, 2);
    }
    if (dtype == DType::mxfp4) at[0] = static_cast<char>(127 + std::lround(std::log2(deviation / 3)));
  }
  return out;
}

struct TinyModel {
  int64_t vocab = 48, dim = 32, ffn = 64, layers = 2, heads = 4, kv_heads = 2, head_dim = 8;
  DType dtype = DType::f32;    // of all matrices
  DType v_dtype = DType::f32;  // of attn_v, when it differs
  bool mixed = false;          // v_dtype counts
  uint32_t seed = 1;
  int64_t experts = 0, experts_used = 0;                                   // a mixture of them instead of one FFN
  enum class Output : uint8_t { own, copied, tied } output = Output::own;  // copied: of the embedding; tied: left out

  // The architecture "llama".
  io::GgufBuilder gguf() const {
    std::mt19937 random(seed);
    io::GgufBuilder b;
    b.key("general.architecture", "llama").key("general.name", "tiny");
    b.key("llama.block_count", static_cast<uint32_t>(layers)).key("llama.context_length", uint32_t{512});
    b.key("llama.embedding_length", static_cast<uint32_t>(dim))
        .key("llama.feed_forward_length", static_cast<uint32_t>(ffn));
    b.key("llama.attention.head_count", static_cast<uint32_t>(heads));
    b.key("llama.attention.head_count_kv", static_cast<uint32_t>(kv_heads));
    b.key("llama.attention.key_length", static_cast<uint32_t>(head_dim));
    b.key("llama.attention.value_length", static_cast<uint32_t>(head_dim));
    b.key("llama.rope.dimension_count", static_cast<uint32_t>(head_dim));
    b.key("llama.attention.layer_norm_rms_epsilon", 1e-5f).key("llama.vocab_size", static_cast<uint32_t>(vocab));
    const auto matrix = [&](const std::string& name, DType type, int64_t rows, int64_t cols, double deviation) {
      b.tensor(name + ".weight", type, {rows, cols}, random_blocks(type, rows * cols, deviation, random));
    };
    const auto norm = [&](const std::string& name, int64_t n) {
      std::vector<float> values(static_cast<size_t>(n));
      for (float& v : values) v = 0.5f + static_cast<float>(random() % 1000) / 1000;
      b.tensor(name + ".weight", {n}, values);
    };
    if (experts > 0) {
      b.key("llama.expert_count", static_cast<uint32_t>(experts));
      b.key("llama.expert_used_count", static_cast<uint32_t>(experts_used));
    }
    const double in = 2 / std::sqrt(static_cast<double>(dim));
    const auto embedding = random_blocks(dtype, vocab * dim, 1, random);
    b.tensor("token_embd.weight", dtype, {vocab, dim}, embedding);
    for (int64_t i = 0; i < layers; ++i) {
      const std::string blk = "blk." + std::to_string(i) + ".";
      norm(blk + "attn_norm", dim);
      matrix(blk + "attn_q", dtype, heads * head_dim, dim, in);
      matrix(blk + "attn_k", dtype, kv_heads * head_dim, dim, in);
      matrix(blk + "attn_v", mixed ? v_dtype : dtype, kv_heads * head_dim, dim, in);
      matrix(blk + "attn_output", dtype, dim, heads * head_dim, 2 / std::sqrt(static_cast<double>(heads * head_dim)));
      norm(blk + "ffn_norm", dim);
      const double hidden = 2 / std::sqrt(static_cast<double>(ffn));
      if (experts == 0) {
        matrix(blk + "ffn_gate", dtype, ffn, dim, in);
        matrix(blk + "ffn_up", dtype, ffn, dim, in);
        matrix(blk + "ffn_down", dtype, dim, ffn, hidden);
        continue;
      }
      const auto stack = [&](const std::string& name, int64_t rows, int64_t cols, double deviation) {
        b.tensor(name + ".weight", dtype, {experts, rows, cols},
                 random_blocks(dtype, experts * rows * cols, deviation, random));
      };
      matrix(blk + "ffn_gate_inp", DType::f32, experts, dim, in);
      stack(blk + "ffn_gate_exps", ffn, dim, in);
      stack(blk + "ffn_up_exps", ffn, dim, in);
      stack(blk + "ffn_down_exps", dim, ffn, hidden);
    }
    norm("output_norm", dim);
    if (output == Output::own) matrix("output", dtype, vocab, dim, in);
    if (output == Output::copied) b.tensor("output.weight", dtype, {vocab, dim}, embedding);
    return b;
  }
};

}  // namespace miao::models
