// Text to text: what generate() and translate() of an encoder-decoder share.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "python/model.h"
#include "python/stream.h"

namespace miao::python {

// The ids of a text, with those that the model expects around it; `what` names it in errors.
std::vector<int32_t> input_ids(const Session& session, const std::string& text, const std::string& what,
                               const runtime::Seq2SeqOptions& options);

// One Completion an input, in their order; the inputs are searched together.
std::vector<Completion> complete(const Model& model, const std::vector<std::vector<int32_t>>& inputs,
                                 runtime::Seq2SeqOptions options);

}  // namespace miao::python
