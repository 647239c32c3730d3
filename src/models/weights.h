// Weights: the tensors of a model, checked against its spec and packed for the kernels.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/memory.h"
#include "base/result.h"
#include "graph/linear.h"
#include "models/pack_cache.h"
#include "models/source.h"
#include "models/spec.h"

namespace miao::models {

struct NormWeights {
  std::vector<float> weight;  // empty = the model has no such norm
  std::vector<float> bias;    // or empty
};

struct BlockWeights {
  graph::Linear qkv, o, gate_up, down;  // gate_up: one part where the FFN is not gated
  graph::Linear router;                 // of a mixture of experts, instead of gate_up and down
  std::vector<graph::Linear> expert_gate_up, expert_down;
  std::optional<graph::Linear> cross_q, cross_kv, cross_o;         // cross_kv reads what the encoder gives
  NormWeights attn_norm, ffn_norm, post_attn_norm, post_ffn_norm;  // (dim)
  NormWeights cross_norm, post_cross_norm;                         // (dim)
  NormWeights q_norm, k_norm;  // (head_dim), (heads, head_dim) or (heads * head_dim)
};

// A tensor by the name that this code has for it, and by that of its file.
struct TensorUse {
  std::string canonical, name;
};

struct Weights {
  std::unique_ptr<Weights> encoder;                      // of an encoder-decoder
  TensorView embedding;                                  // (vocab, dim) in the checkpoint's mapping
  TensorView positions, token_types;                     // (positions, dim), (types, dim) there, or no data
  NormWeights embedding_norm;                            // (dim)
  std::vector<float> distance_bias;                      // (distance_buckets, heads)
  std::optional<graph::Linear> project_in, project_out;  // between the embedding's dimensions and the model's
  std::optional<graph::Linear> conv1, conv2;             // of audio: three frames' values, those of one value together
  std::vector<BlockWeights> blocks;
  NormWeights output_norm;                   // (dim)
  std::optional<graph::Linear> dense, head;  // head: (vocab, dim), or (outputs, dim) of an encoder
  NormWeights dense_norm;                    // (dim)
  bool all_f32 = true;                       // every matrix of the file is F32
  std::vector<TensorUse> tensors;  // all that were read, perhaps more than once; of an encoder-decoder: of both
  Memory memory;                   // packed matrices, or
  Pack pack;                       // where they came from the cache
  PackKey key;                     // there; empty = not wanted
};

// body(kind, linear) for every matrix; kind is "qkv", "o", "gate_up", "down", "router", "lm_head", "dense", "project",
// "cross_q", "cross_kv", "cross_o", "conv". An encoder's come first.
template <class W, class Body>
void for_linears(W& w, const Body& body) {
  if (w.encoder) for_linears(*w.encoder, body);
  if (w.conv1) body("conv", *w.conv1);
  if (w.conv2) body("conv", *w.conv2);
  if (w.head) body("lm_head", *w.head);
  if (w.dense) body("dense", *w.dense);
  if (w.project_in) body("project", *w.project_in);
  if (w.project_out) body("project", *w.project_out);
  for (auto& b : w.blocks) {
    body("qkv", b.qkv);
    body("o", b.o);
    if (b.cross_q) body("cross_q", *b.cross_q);
    if (b.cross_kv) body("cross_kv", *b.cross_kv);
    if (b.cross_o) body("cross_o", *b.cross_o);
    if (b.expert_down.empty()) {
      body("gate_up", b.gate_up);
      body("down", b.down);
      continue;
    }
    body("router", b.router);
    for (auto& linear : b.expert_gate_up) body("gate_up", linear);
    for (auto& linear : b.expert_down) body("down", linear);
  }
}

// Two steps, so that memory can be planned before anything large is read. describe() checks every tensor's presence,
// shape and type (Errors name the tensor); pack() takes the packed matrices from the cache in `folder` (empty = there
// is none) or fills Weights::memory, and gives the source pages back.
Result<Weights> describe_weights(const Source& source, const ModelSpec& spec, const graph::Context& context,
                                 graph::Precision precision);
Result<void> pack_weights(const Source& source, const graph::Context& context, Weights& weights,
                          const std::filesystem::path& folder, const std::atomic<bool>* cancel);
int64_t packed_bytes(const Weights& weights);

}  // namespace miao::models
