// TensorReader: tensors of a checkpoint by this code's names, checked for presence, shape and type, as weights. Errors
// name the tensor as its file does: not_found, invalid (its shape), unsupported (its type).
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "graph/linear.h"
#include "models/source.h"
#include "models/spec.h"
#include "models/weights.h"

namespace miao::models {

class TensorReader {
 public:
  TensorReader(const Source& source, const ModelSpec& spec, const graph::Context& context, graph::Precision precision);

  const std::vector<TensorUse>& used() const { return used_; }  // in the order in which they were asked for
  bool all_f32() const { return all_f32_; }                     // the weights that were read

 protected:
  Result<const TensorView*> tensor(const std::string& canonical, const std::vector<int64_t>& shape);
  // A tensor of a type that can be multiplied.
  Result<const TensorView*> weight(const std::string& stem, const std::vector<int64_t>& shape);
  // Over three frames of `values` each: (dim, values, 3).
  Result<graph::Linear> convolution(const std::string& name, int64_t values);
  Result<TensorView> matrix(const std::string& stem, int64_t rows, int64_t cols);
  Result<std::vector<float>> vector(const std::string& canonical, std::vector<int64_t> shape);
  Result<std::vector<float>> vector(const std::string& canonical, int64_t n);
  Result<NormWeights> norm(const std::string& stem, int64_t n);
  // The norm of q or k.
  Result<NormWeights> head_norm(const std::string& stem, int64_t heads);
  // `rows` of a tensor's `all` rows, which `map` finds.
  Result<graph::LinearPart> part(const std::string& stem, int64_t rows, int64_t all, int64_t cols, bool bias,
                                 graph::RowMap map);
  Result<graph::LinearPart> part(const std::string& stem, int64_t rows, int64_t cols, bool bias);
  Result<graph::Linear> linear(const std::string& stem, int64_t rows, int64_t cols, bool bias);
  bool of_block(const std::string& stem) const;
  // Experts of GGUF files are one tensor (experts, rows, cols); old ones and Hugging Face files have one an expert.
  Result<graph::LinearPart> expert(const std::string& stem, int64_t index, int64_t rows, int64_t cols);
  Result<graph::Linear> describe(std::vector<graph::LinearPart> parts, graph::Precision precision);

  const Source& source_;
  const ModelSpec& spec_;
  const std::string& side_;
  const graph::Context& context_;
  graph::Precision precision_;
  graph::Precision outer_;  // outside the blocks: what little is there is not worth a loss

 private:
  bool all_f32_ = true;
  std::vector<TensorUse> used_;
};

}  // namespace miao::models
