// The steps that programs are made of. Each function checks the shapes (a mismatch is a programmer's error), and adds
// one step to the program. Weights are referenced, not copied: they must outlive the program.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "graph/linear.h"
#include "graph/program.h"
#include "kernels/table.h"
#include "tensor/tensor.h"

namespace miao::graph {

// RMS norm of a row of `size` values, or LayerNorm.
struct Norm {
  const float* weight = nullptr;  // (size)
  int64_t size = 0;
  float eps = 0;
  bool layer = false;           // LayerNorm: the mean is taken off
  const float* bias = nullptr;  // (size), or null; of LayerNorm

  void apply(const kernels::Kernels& k, const float* x, float* out) const {  // x may be out
    if (layer) {
      k.layer_norm(x, weight, bias, size, eps, out);
    } else {
      k.rms_norm(x, weight, size, eps, out);
    }
  }
};

// x = scale * rows `ids` of the table (vocab, dim), decoded from the file's format.
void add_embedding(Program& program, const TensorView& table, float scale, Buffer* x);
// The same, from the packed output matrix that shares its weights with the table: it is in memory and in use anyway.
void add_embedding(Program& program, const Linear& tied, float scale, Buffer* x);
// x += the row of the table (positions, dim) that a row's position plus `offset` names: learned positions.
void add_positions(Program& program, const TensorView& table, int64_t offset, Buffer* x);

// Rotations of each row's position: cos | sin, (rows, 2 * half). angle = position * frequency[i] in FP32; both are
// multiplied by `factor`.
Buffer* add_rotation(Program& program, std::string name, std::vector<float> frequency, float factor);

enum class Store : uint8_t { assign, accumulate };

// x += the row of the table (types, dim) that Pass::types names.
void add_token_types(Program& program, const TensorView& table, Buffer* x);

// out = linear(norm(in)) + bias, or out += factor * (linear(norm(in)) + bias). out has linear.width() columns, or fewer
// when the rest is padding.
void add_linear(Program& program, std::string name, const Linear& linear, std::optional<Norm> norm, Buffer* in,
                Store store, Buffer* out, float factor = 1);

// out = act(gate) * up where gate and up are the two parts of `linear`, applied to norm(in); out = act(up) when it has
// one part.
void add_activated(Program& program, std::string name, const Linear& linear, kernels::Act act, std::optional<Norm> norm,
                   Buffer* in, Buffer* out);

// A mixture of experts: x += sum of weight * expert(norm(x)) over the `used` experts that the router rates highest,
// with the softmax of its rating as weight. An expert is down(act(gate) * up), gate and up being the parts of its
// `gate_up`.
struct Experts {
  const Linear* router = nullptr;            // (experts, dim), floating
  std::vector<const Linear*> gate_up, down;  // (experts)
  int64_t used = 0;                          // of a row
  bool normalised = false;                   // the weights of those used are scaled to sum to one
  kernels::Act act = kernels::Act::silu;
};
void add_experts(Program& program, std::string name, const Experts& experts, const Norm& norm, Buffer* x);

// Columns column .. column + norm.size - 1 of x, in place.
void add_norm(Program& program, std::string name, const Norm& norm, int64_t column, Buffer* x);

// x += norm(in): the norm behind a block of sandwich models.
void add_norm_residual(Program& program, std::string name, const Norm& norm, Buffer* in, Buffer* x);

struct Attention {
  int64_t layer = 0;
  int64_t heads = 0, kv_heads = 0, head_dim = 0;
  int64_t q = 0, k = 0, v = 0;         // columns of qkv where each starts
  int64_t half = 0;                    // rotated pairs of a head; 0 = none, and no rotation buffer
  bool interleaved = false;            // pairs are (2i, 2i + 1), else (i, i + half)
  std::optional<Norm> q_norm, k_norm;  // per head, before the rotation
  bool norm_each = false;              // every head has its own norm weights: (heads, head_dim)
  kernels::KvType kv = kernels::KvType::f16;
  int64_t window = 0;  // sliding window; 0 = none
  float scale = 1;
  float softcap = 0;
  const float* bias = nullptr;  // as of SelfAttention
  int64_t reach = 0;
};
// Stores the keys and values of the rows to their sequences' pages; out = causal attention (rows, heads * head_dim).
// qkv is changed (rotated in place).
void add_attention(Program& program, std::string name, const Attention& attention, Buffer* qkv, Buffer* rotation,
                   Buffer* out);

// Attention of encoders: every row sees all rows of its slice, or those that are less than `window` away. Keys and
// values live no longer than the step. `bias` is (heads, 2 * reach + 1), added to scores by distance of key and query;
// reach: distances on either side, kPage more than the longest slice has.
struct SelfAttention {
  int64_t heads = 0, head_dim = 0;
  int64_t q = 0, k = 0, v = 0;  // columns of qkv where each starts
  int64_t half = 0;             // rotated pairs (i, i + half) of a head; 0 = none, and no rotation buffer
  int64_t window = 0;           // 0 = none
  float scale = 1;
  const float* bias = nullptr;
  int64_t reach = 0;
};
void add_self_attention(Program& program, std::string name, const SelfAttention& attention, Buffer* qkv,
                        Buffer* rotation, Buffer* out);

// Attention of every row to all rows that an encoder has left in its slice's `memory`.
struct CrossAttention {
  int64_t layer = 0;
  int64_t heads = 0, head_dim = 0;
  int64_t k = 0, v = 0;  // columns of kv where each starts
  kernels::KvType kv = kernels::KvType::f16;
  float scale = 1;
};
// In the encoder's program: the keys and values of its rows to their slices' pages.
void add_store_memory(Program& program, std::string name, const CrossAttention& attention, Buffer* kv);
// out = attention (rows, heads * head_dim) of the queries in the first columns of q.
void add_cross_attention(Program& program, std::string name, const CrossAttention& attention, Buffer* q, Buffer* out);

// out = the three frames of Pass::features around `step` times the row in its slice, (rows, 3 * values): value by
// value, the frame before, the frame, the frame behind; zero outside of the slice, whose frames are `step` for each
// row.
void add_window(Program& program, std::string name, int64_t values, int64_t step, Buffer* out);

// The first row of every slice becomes the mean of its rows.
void add_mean(Program& program, std::string name, Buffer* x);

// Pass::logits = x: the rows themselves are the result, or scaled to length 1.
void add_output(Program& program, std::string name, Buffer* x, bool normalise);

// Pass::logits = softcap(factor * (linear(norm(x)) + bias)), behind Program::select; softcap 0 = none.
struct Logits {
  std::optional<Norm> norm;
  float factor = 1;
  float softcap = 0;
};
void add_logits(Program& program, std::string name, const Linear& linear, const Logits& logits, Buffer* x);

}  // namespace miao::graph
