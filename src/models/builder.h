// The forward pass of a model as a Program.
#pragma once

#include <cstdint>

#include "graph/program.h"
#include "models/spec.h"
#include "models/weights.h"

namespace miao::models {

// Spec and weights must outlive the program. `kv`: element type of keys and values; `ctx`: the longest sequence.
void build_program(const ModelSpec& spec, const Weights& weights, DType kv, int64_t ctx, graph::Program& program);

}  // namespace miao::models
