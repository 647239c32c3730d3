#include "models/tensor_reader.h"

namespace miao::models {

namespace {

std::string shape_text(const std::vector<int64_t>& shape) {
  std::string out = "(";
  for (size_t i = 0; i < shape.size(); ++i) out += (i ? ", " : "") + std::to_string(shape[i]);
  return out + ")";
}

}  // namespace

TensorReader::TensorReader(const Source& source, const ModelSpec& spec, const graph::Context& context,
                           graph::Precision precision)
    : source_(source),
      spec_(spec),
      side_(spec.side),
      context_(context),
      precision_(precision),
      outer_(precision == graph::Precision::int8 ? graph::Precision::file : precision) {}

Result<const TensorView*> TensorReader::tensor(const std::string& canonical, const std::vector<int64_t>& shape) {
  std::string name = source_.tensor_name(canonical);
  const TensorView* t = source_.checkpoint().find(name);
  if (!t) return Error{Code::not_found, "the tensor is missing", source_.place(name)};
  if (t->shape != shape) {
    return Error{Code::invalid, "its shape is " + shape_text(t->shape) + ", expected " + shape_text(shape),
                 source_.place(name)};
  }
  used_.push_back({canonical, std::move(name)});
  return t;
}

Result<const TensorView*> TensorReader::weight(const std::string& stem, const std::vector<int64_t>& shape) {
  MIAO_TRY(const TensorView* t, tensor(stem + ".weight", shape));
  if (format(t->dtype).decode == nullptr) {
    return Error{Code::unsupported, std::string("its type ") + format(t->dtype).name + " is not a weight type",
                 source_.place(t->name)};
  }
  all_f32_ &= t->dtype == DType::f32;
  return t;
}

Result<graph::Linear> TensorReader::convolution(const std::string& name, int64_t values) {
  MIAO_TRY(const TensorView* t, weight(side_ + name, {spec_.dim, values, 3}));
  graph::LinearPart only{.weight = *t};
  only.weight.shape = {spec_.dim, 3 * values};
  MIAO_TRY(only.bias, vector(side_ + name + ".bias", spec_.dim));
  return describe({std::move(only)}, outer_);
}

Result<TensorView> TensorReader::matrix(const std::string& stem, int64_t rows, int64_t cols) {
  MIAO_TRY(const TensorView* t, weight(stem, {rows, cols}));
  return *t;
}

Result<std::vector<float>> TensorReader::vector(const std::string& canonical, std::vector<int64_t> shape) {
  MIAO_TRY(const TensorView* t, tensor(canonical, shape));
  if (t->dtype != DType::f32 && t->dtype != DType::f16 && t->dtype != DType::bf16) {
    return Error{Code::unsupported, std::string("its type is ") + format(t->dtype).name + ", expected F32, F16 or BF16",
                 source_.place(t->name)};
  }
  std::vector<float> out(static_cast<size_t>(t->elements()));
  format(t->dtype).decode(t->data, out.data(), t->elements());
  return out;
}

Result<std::vector<float>> TensorReader::vector(const std::string& canonical, int64_t n) {
  return vector(canonical, std::vector<int64_t>{n});
}

Result<NormWeights> TensorReader::norm(const std::string& stem, int64_t n) {
  NormWeights out;
  MIAO_TRY(out.weight, vector(stem + ".weight", n));
  if (spec_.norm_plus_one) {
    for (float& value : out.weight) value += 1;
  }
  if (spec_.norm_bias) {
    MIAO_TRY(out.bias, vector(stem + ".bias", n));
  }
  return out;
}

Result<NormWeights> TensorReader::head_norm(const std::string& stem, int64_t heads) {
  using QkNorm = AttentionSpec::QkNorm;
  const int64_t dim = spec_.block.attn.head_dim;
  NormWeights out;
  if (spec_.block.attn.qk_norm != QkNorm::each_head) {
    return norm(stem, spec_.block.attn.qk_norm == QkNorm::all ? heads * dim : dim);
  }
  if (source_.gguf()) {
    MIAO_TRY(out.weight, vector(stem + ".weight", {heads, dim}));
    return out;
  }
  for (int64_t h = 0; h < heads; ++h) {
    MIAO_TRY(std::vector<float> own, vector(stem + "." + std::to_string(h) + ".weight", dim));
    out.weight.insert(out.weight.end(), own.begin(), own.end());
  }
  return out;
}

Result<graph::LinearPart> TensorReader::part(const std::string& stem, int64_t rows, int64_t all, int64_t cols,
                                             bool bias, graph::RowMap map) {
  graph::LinearPart out;
  map.transposed = spec_.transposed && of_block(stem);
  MIAO_TRY(out.weight, map.transposed ? matrix(stem, cols, all) : matrix(stem, all, cols));
  out.rows = rows;
  out.map = map;
  if (bias) {
    MIAO_TRY(std::vector<float> whole, vector(stem + ".bias", all));
    for (int64_t r = 0; r < rows; ++r) out.bias.push_back(whole[static_cast<size_t>(map(r))]);
  }
  return out;
}

Result<graph::LinearPart> TensorReader::part(const std::string& stem, int64_t rows, int64_t cols, bool bias) {
  return part(stem, rows, rows, cols, bias, {});
}

Result<graph::Linear> TensorReader::linear(const std::string& stem, int64_t rows, int64_t cols, bool bias) {
  MIAO_TRY(graph::LinearPart only, part(stem, rows, cols, bias));
  return describe({std::move(only)}, of_block(stem) ? precision_ : outer_);
}

bool TensorReader::of_block(const std::string& stem) const { return stem.starts_with(side_ + "blk."); }

Result<graph::LinearPart> TensorReader::expert(const std::string& stem, int64_t index, int64_t rows, int64_t cols) {
  const int64_t experts = spec_.block.ffn.experts;
  if (!source_.gguf() || !source_.find(stem + "_exps.weight")) {
    return part(stem + "." + std::to_string(index), rows, cols, false);
  }
  graph::LinearPart out;
  MIAO_TRY(const TensorView* t, weight(stem + "_exps", {experts, rows, cols}));
  out.weight = *t;
  out.weight.shape = {experts * rows, cols};
  out.rows = rows;
  out.map.first = index * rows;
  return out;
}

Result<graph::Linear> TensorReader::describe(std::vector<graph::LinearPart> parts, graph::Precision precision) {
  return graph::Linear::describe(context_, std::move(parts), precision);
}

}  // namespace miao::models
