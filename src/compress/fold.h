// Changes that leave what a model computes as it is, and its weights easier to round.
//
//   rotate   The residual stream x becomes x Q, Q orthogonal: outliers of single dimensions spread over all (QuaRot,
//            Ashkboos et al. 2024, arXiv 2404.00456). Norms give their weights to the matrices behind them, every
//            matrix that reads the stream becomes W Q, every one that adds to it Q^T W; values of a head turn likewise
//            between attn_v and attn_output. For decoders with RMS norms of what each block reads, and no others.
//   scale    Columns that large inputs meet grow before they are rounded, and what they read shrinks as much: in the
//            norm or the rows of the matrix in front (AWQ, Lin et al. 2023, arXiv 2306.00978). By what power of the
//            inputs' size is searched for each group of matrices.
//
// The result is a GGUF file of the same model whose changed tensors are in F32; what it computes has been compared with
// what the model does.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string_view>

#include "base/result.h"
#include "compress/gguf_copy.h"
#include "compress/importance.h"
#include "io/checkpoint.h"
#include "tensor/dtype.h"

namespace miao::compress {

struct FoldOptions {
  int threads = 0;
  std::function<void(std::string_view what, uint64_t done, uint64_t total)> progress;
  const std::atomic<bool>* cancel = nullptr;
};

// `model`: GGUF. `beside`: as GgufCopy::of() has it. The output matrix of a model that has the embedding in its place
// becomes a tensor of its own. Errors: unsupported, with what stands in the way; those of reading and writing.
Result<GgufCopy> rotate(const io::Checkpoint& model, const std::filesystem::path& beside, const FoldOptions& options);

// `importance` is of `model`, `type` what each tensor will be rounded to. A group that no factors help stays as it is;
// where none helps any there is no copy. Errors: unsupported for encoder-decoders, or with what computes something
// else; those of reading and writing.
struct Scaled {
  GgufCopy copy;
  Importance importance;  // of the copy
};
using TypeOfTensor = std::function<DType(std::string_view tensor)>;
Result<std::optional<Scaled>> scale(const io::Checkpoint& model, const std::filesystem::path& beside,
                                    const Importance& importance, const TypeOfTensor& type, const FoldOptions& options);

}  // namespace miao::compress
