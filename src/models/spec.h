// ModelSpec: everything about a decoder that is not weights, in one plain struct. A family fills it from a checkpoint's
// hyper-parameters; the builder (decoder.cpp) turns it into a Program. All numbers have been checked against nonsense.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kernels/table.h"

namespace miao::models {

// Rotary position embedding of one kind of layer; rope.h computes the frequencies.
struct RopeSpec {
  enum class Scaling : uint8_t { none, linear, dynamic, llama3, yarn, longrope };

  double theta = 10000;
  Scaling scaling = Scaling::none;
  double factor = 1;
  int64_t original_ctx = 0;         // positions the model was trained with before the context was stretched
  double attention_factor = 0;      // 0 = as the scaling computes it
  double attention_multiplier = 1;  // of that
  double low_freq_factor = 1, high_freq_factor = 4;                      // llama3
  double beta_fast = 32, beta_slow = 1, mscale = 0, mscale_all_dim = 0;  // yarn
  bool truncate = true;                                                  // yarn
  std::vector<double> short_factor, long_factor;                         // longrope: (rotary_dim / 2)
  std::vector<double> divisors;  // (rotary_dim / 2) of a GGUF file's rope_freqs tensor, or empty
};

struct AttentionSpec {
  int64_t heads = 0, kv_heads = 0, head_dim = 0;
  int64_t rotary_dim = 0;    // the first dimensions of a head are rotated
  bool interleaved = false;  // rotation pairs are (2i, 2i + 1), else (i, i + rotary_dim / 2)
  bool qkv_bias = false, o_bias = false;
  bool qk_norm = false;  // RMS norm of each head of q and k, before the rotation
  double scale = 0;      // of q . k
  double softcap = 0;    // 0 = none
};

struct FfnSpec {
  int64_t dim = 0;
  kernels::Act act = kernels::Act::silu;  // act(gate) * up
  bool bias = false;
};

struct BlockSpec {
  AttentionSpec attn;
  FfnSpec ffn;
  bool post_norms = false;  // RMS norm of what attention and ffn add ("sandwich")
};

struct ModelSpec {
  std::string family;  // "llama"
  std::string name;    // the file's own name of the model; may be empty
  int64_t vocab = 0, dim = 0, layers = 0;
  int64_t ctx = 0;  // positions the model was made for
  double eps = 0;   // of all norms
  BlockSpec block;
  RopeSpec rope;              // of full-attention layers
  RopeSpec local_rope;        // of sliding layers
  int64_t window = 0;         // positions that sliding layers see
  std::vector<bool> sliding;  // (layers)
  double embedding_scale = 1;
  double final_softcap = 0;
  bool tied = false;           // the output matrix is the embedding
  bool norm_plus_one = false;  // the file stores norm weights minus one
};

}  // namespace miao::models
