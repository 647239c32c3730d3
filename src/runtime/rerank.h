// Reranking: how well documents answer a query, by a cross-encoder that reads both together.
#pragma once

#include <atomic>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "runtime/encoder.h"

namespace miao::runtime {

struct RerankOptions {
  bool truncate = false;  // documents that are too long lose their end; else they are an Error
  const std::atomic<bool>* cancel = nullptr;
};

// The score of each document, in their order. A head with one output: through the logistic function, or as it is where
// the configuration says so as sentence-transformers writes it; with two: the probability of the second class. A
// document that cannot be read is an Error in its place and harms no other. Error unsupported for another head.
Result<std::vector<Result<float>>> rerank(Encoder& encoder, std::string_view query,
                                          std::span<const std::string> documents, const RerankOptions& options = {});

}  // namespace miao::runtime
