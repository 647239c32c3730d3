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

// RMS norm of a row of `size` values.
struct Norm {
  const float* weight = nullptr;  // (size)
  int64_t size = 0;
  float eps = 0;
};

// x = scale * rows `ids` of the table (vocab, dim), decoded from the file's format.
void add_embedding(Program& program, const TensorView& table, float scale, Buffer* x);
// The same, from the packed output matrix that shares its weights with the table: it is in memory and in use anyway.
void add_embedding(Program& program, const Linear& tied, float scale, Buffer* x);

// Rotations of each row's position: cos | sin, (rows, 2 * half). angle = position * frequency[i] in FP32; both are
// multiplied by `factor`.
Buffer* add_rotation(Program& program, std::string name, std::vector<float> frequency, float factor);

enum class Store : uint8_t { assign, accumulate };

// out (=|+=) linear(norm(in)) + bias. out has linear.width() columns, or fewer when the rest is padding.
void add_linear(Program& program, std::string name, const Linear& linear, std::optional<Norm> norm, Buffer* in,
                Store store, Buffer* out);

// out = act(gate) * up where gate and up are the two parts of `linear`, applied to norm(in).
void add_gated(Program& program, std::string name, const Linear& linear, kernels::Act act, std::optional<Norm> norm,
               Buffer* in, Buffer* out);

// x += norm(in): the norm behind a block of sandwich models.
void add_norm_residual(Program& program, std::string name, const Norm& norm, Buffer* in, Buffer* x);

struct Attention {
  int64_t layer = 0;
  int64_t heads = 0, kv_heads = 0, head_dim = 0;
  int64_t q = 0, k = 0, v = 0;         // columns of qkv where each starts
  int64_t half = 0;                    // rotated pairs of a head
  bool interleaved = false;            // pairs are (2i, 2i + 1), else (i, i + half)
  std::optional<Norm> q_norm, k_norm;  // per head, before the rotation
  DType kv = DType::f16;
  int64_t window = 0;  // sliding window; 0 = none
  float scale = 1;
  float softcap = 0;
};
// Stores the keys and values of the rows to their sequences' pages; out = causal attention (rows, heads * head_dim).
// qkv is changed (rotated in place).
void add_attention(Program& program, std::string name, const Attention& attention, Buffer* qkv, Buffer* rotation,
                   Buffer* out);

// Pass::logits = softcap(linear(norm(x))), behind Program::select; softcap 0 = none.
void add_logits(Program& program, std::string name, const Linear& linear, const Norm& norm, float softcap, Buffer* x);

}  // namespace miao::graph
