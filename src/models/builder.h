// The forward pass of a model as a Program.
#pragma once

#include <cstdint>

#include "graph/program.h"
#include "models/spec.h"
#include "models/weights.h"

namespace miao::models {

// Spec and weights must outlive the program. `kv`: format of keys and values; `ctx`: the longest sequence.
void build_program(const ModelSpec& spec, const Weights& weights, kernels::KvType kv, int64_t ctx,
                   graph::Program& program);
// Of an encoder-decoder, whose decoder is build_program()'s: the encoder, which leaves the keys and values of every
// block of the decoder in the pages of its slices.
void build_encoder(const ModelSpec& spec, const Weights& weights, kernels::KvType kv, int64_t ctx,
                   graph::Program& program);
// Of an encoder of audio: what it does to every frame first. Its result is what the encoder's Pass::features are.
void build_convolution(const ModelSpec& spec, const Weights& weights, graph::Program& program);

}  // namespace miao::models
