// Weights: the tensors of a decoder, checked against its spec and packed for the kernels.
#pragma once

#include <atomic>
#include <cstdint>
#include <vector>

#include "base/memory.h"
#include "base/result.h"
#include "graph/linear.h"
#include "models/source.h"
#include "models/spec.h"

namespace miao::models {

struct BlockWeights {
  graph::Linear qkv, o, gate_up, down;
  std::vector<float> attn_norm, ffn_norm;            // (dim)
  std::vector<float> post_attn_norm, post_ffn_norm;  // (dim), or empty
  std::vector<float> q_norm, k_norm;                 // (head_dim), or empty
};

struct Weights {
  TensorView embedding;  // (vocab, dim) in the checkpoint's mapping
  std::vector<BlockWeights> blocks;
  std::vector<float> output_norm;  // (dim)
  graph::Linear head;              // (vocab, dim)
  bool all_f32 = true;             // every matrix of the file is F32
  Memory memory;                   // packed matrices
};

// Two steps, so that memory can be planned before anything large is read. describe() checks every tensor's presence,
// shape and type (Errors name the tensor); pack() fills Weights::memory and gives the source pages back.
Result<Weights> describe_weights(const Source& source, const ModelSpec& spec, const graph::Context& context, bool f32);
Result<void> pack_weights(const Source& source, const graph::Context& context, Weights& weights,
                          const std::atomic<bool>* cancel);
int64_t packed_bytes(const Weights& weights);

}  // namespace miao::models
