// Token ids through an encoder: what encode() and logits() share.
#pragma once

#include <cstdint>
#include <vector>

#include "python/convert.h"
#include "python/model.h"

namespace miao::python {

struct EncoderArguments {
  std::vector<std::vector<int32_t>> ids, types;  // types: as many, or none
};
// Of one input, and of a batch. `types`: None, or as input_ids.
EncoderArguments to_input(nb::handle input_ids, nb::handle types);
EncoderArguments to_inputs(const Batch& input_ids, nb::handle types);

// What the model gives for each input: see models::Rows.
std::vector<Block> encode(const Model& model, models::Rows rows, const EncoderArguments& inputs);

}  // namespace miao::python
