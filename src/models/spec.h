// ModelSpec: everything about a model that is not weights, in one plain struct. A family fills it from a checkpoint's
// hyper-parameters; the builder (builder.cpp) turns it into a Program. All numbers have been checked against nonsense.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "kernels/table.h"
#include "models/sentence.h"

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
  int64_t rotary_dim = 0;    // the first dimensions of a head are rotated; 0 = none
  bool interleaved = false;  // rotation pairs are (2i, 2i + 1), else (i, i + rotary_dim / 2)
  bool qkv_bias = false, o_bias = false;
  bool k_bias = true;  // k has one where q and v have
  // Norms of q and k before the rotation. head: RMS norm of each head with the same weights; each_head: LayerNorm of
  // each head with weights of its own; all: one RMS norm over all heads.
  enum class QkNorm : uint8_t { none, head, each_head, all } qk_norm = QkNorm::none;
  // How one tensor holds q, k and v. stacked: q | k | v; by_head: q k v of the first head, then of the next.
  enum class Fused : uint8_t { none, stacked, by_head } fused = Fused::none;
  double scale = 0;    // of q . k
  double softcap = 0;  // 0 = none
};

struct FfnSpec {
  int64_t dim = 0;
  kernels::Act act = kernels::Act::silu;
  bool gated = true;   // act(gate) * up, else act(up)
  bool fused = false;  // one tensor holds gate | up
  bool bias = false;
  // Mixture of experts: `dim` is that of an expert. 0 = none.
  int64_t experts = 0, experts_used = 0;
  bool normalised = false;  // the weights of those used are scaled to sum to one
};

// y = x + post(attn(pre(x))), then the same with cross attention, if any, and with ffn.
struct BlockSpec {
  AttentionSpec attn;
  FfnSpec ffn;
  bool pre_norms = true;     // of what attention and ffn read
  bool first_norm = true;    // the first block norms what its attention reads
  bool post_norms = false;   // of what they add
  bool after_norms = false;  // of the sum
  // ffn reads what attention reads, not what it gives; shared: through the same norm.
  enum class Parallel : uint8_t { no, own_norm, shared_norm } parallel = Parallel::no;
  double residual_scale = 1;  // of what attention and ffn add
  // Of the decoder of an encoder-decoder: attention to what the encoder gives, with heads as `attn` has. stacked: one
  // tensor holds k | v.
  enum class Cross : uint8_t { none, separate, stacked } cross = Cross::none;
};

// What stands behind the blocks of an encoder: the rows themselves (hidden), one row a sequence (embedding), or
// out(norm(act(dense(row)))) of one row a sequence, or of every row (tokens; span: start and end of an answer).
struct HeadSpec {
  enum class Task : uint8_t { hidden, embedding, sequence, tokens, span } task = Task::hidden;
  SentenceSpec::Pool pool = SentenceSpec::Pool::first;  // the row of a sequence
  bool normalise = false;                               // an embedding, to length 1
  bool dense = false, dense_bias = true, dense_norm = false;
  kernels::Act act = kernels::Act::tanh;
  int64_t outputs = 0;              // classes; 2 of a span: start and end
  std::vector<std::string> labels;  // (outputs), or empty

  bool pooled() const { return task == Task::embedding || task == Task::sequence; }
};

struct ModelSpec {
  enum class Shape : uint8_t { decoder, encoder, encoder_decoder } shape = Shape::decoder;
  std::shared_ptr<const ModelSpec> encoder;  // of an encoder-decoder; the rest of this spec is its decoder
  std::string side;                          // "enc." or "dec.": in front of the canonical names of tensors
  std::string family;                        // "llama"
  std::string name;                          // the file's own name of the model; may be empty
  int64_t vocab = 0, dim = 0, layers = 0;
  int64_t ctx = 0;                             // positions the model was made for
  double eps = 0;                              // of all norms
  bool layer_norm = false, norm_bias = false;  // LayerNorm, else RMS norm
  bool output_norm = true;
  BlockSpec block;
  RopeSpec rope;                // of full-attention layers
  RopeSpec local_rope;          // of sliding layers
  int64_t window = 0;           // positions that sliding layers see
  std::vector<bool> sliding;    // (layers)
  std::vector<bool> rotated;    // (layers), or empty: all
  int64_t positions = 0;        // rows of a table of learned positions; 0 = none
  int64_t position_offset = 0;  // row of the first position
  // The table of positions is computed: sin | cos of position / 10000^(i / half), or / 10000^(i / (half - 1)).
  enum class Sinusoids : uint8_t { none, by_half, by_half_less_one } sinusoids = Sinusoids::none;
  int64_t token_types = 0;          // rows of a table of segment embeddings; 0 = none
  bool embedding_norm = false;      // of the sum of all embeddings
  int64_t distance_buckets = 0;     // of a table (buckets, heads) of biases by distance (T5's); 0 = none
  int64_t distance_farthest = 128;  // distances from here on share a bucket
  int64_t features = 0;        // of an encoder of audio: values of an input frame, two frames a row; 0 = it reads ids
  bool shared_blocks = false;  // all layers have the weights of the first
  int64_t embedding_dim = 0;   // of the table, with a projection to `dim` and one back; 0 = dim
  double embedding_scale = 1;
  double logit_scale = 1;
  double final_softcap = 0;
  bool output_bias = false;
  HeadSpec head;  // of encoders
  std::optional<SentenceSpec> sentence;
  bool transposed = false;     // matrices of blocks are stored (in, out)
  bool tied = false;           // the output matrix is the embedding
  bool norm_plus_one = false;  // the file stores norm weights minus one
  std::vector<int64_t> kept;   // (layers): which of the file's blocks they are; empty = all, in order

  // So many blocks, evenly spread over those that there are. At most all.
  void keep_blocks(int64_t count);
};

}  // namespace miao::models
