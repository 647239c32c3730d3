// Entities: spans of a text that a model labels token by token (names, places, parts of speech).
//
// Tokens become words and words become spans as in transformers' TokenClassificationPipeline. Texts that are longer
// than the model reads go through it in windows that overlap; of two entities that overlap the longer one counts.
#pragma once

#include <atomic>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "prep/tokenizer.h"
#include "runtime/encoder.h"

namespace miao::runtime {

// How the tokens of a word agree on a label. simple: they need not; first: the first one says; max: the surest one;
// average: the mean of their probabilities.
enum class Aggregation : uint8_t { simple, first, average, max };

struct EntityOptions {
  Aggregation aggregation = Aggregation::simple;
  int64_t overlap = 64;  // tokens that neighbouring windows share
  const std::atomic<bool>* cancel = nullptr;
};

struct Entity {
  std::string label;      // without B- or I-
  float score;            // mean probability of its words
  prep::ByteRange range;  // of the text
};
using Entities = std::vector<Entity>;

// Those of each text in the order of the text, without label "O". A text that cannot be read is an Error in its place
// and harms no other. Error unsupported for a model without such a head.
Result<std::vector<Result<Entities>>> find_entities(Encoder& encoder, std::span<const std::string> texts,
                                                    const EntityOptions& options = {});

}  // namespace miao::runtime
