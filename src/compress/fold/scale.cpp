// The factors of columns: for each group of matrices that read the same, the power of their inputs that loses least.
#include <algorithm>
#include <array>
#include <cmath>
#include <string>

#include "base/cpu.h"
#include "base/thread_pool.h"
#include "compress/fold/changes.h"
#include "compress/rounding.h"
#include "compress/search/rendered.h"
#include "models/model.h"

namespace miao::compress {

namespace {

using models::BlockSpec;
using models::ModelSpec;

constexpr int kSteps = 10;       // of the power, from 0 to 1
constexpr float kReach = 64;     // of a factor
constexpr double kWorth = 0.99;  // of the error as it is: less gain than this is chance

// What shrinks (rows of a matrix or the values of vectors), and what grows: columns of matrices that read it.
struct Group {
  std::vector<std::string> vectors;  // norms and biases
  std::string matrix;                // whose rows, or empty
  std::vector<std::string> readers;
  int64_t heads = 1, head_dim = 0;  // of attn_output: so many heads after each other read the same values
};

class Scale {
 public:
  Scale(const io::Checkpoint& model, const ModelSpec& spec, const Importance& importance, const TypeOfTensor& type,
        const FoldOptions& options, ThreadPool& pool)
      : model_(model), s_(spec), importance_(importance), type_(type), o_(options), pool_(pool) {}

  Result<Changes> plan() {
    for (int64_t layer = 0; layer < s_.layers; ++layer) {
      if (o_.cancel && *o_.cancel) return Error{Code::cancelled, "interrupted", {}};
      if (o_.progress)
        o_.progress("looking for factors", static_cast<uint64_t>(layer), static_cast<uint64_t>(s_.layers));
      for (const Group& group : groups("blk." + std::to_string(layer) + ".")) MIAO_CHECK_OK(settle(group));
    }
    if (model_.find("output.weight") && model_.find("output_norm.weight"))
      MIAO_CHECK_OK(settle({.vectors = {"output_norm.weight", "output_norm.bias"}, .readers = {"output.weight"}}));
    return std::move(out_);
  }

 private:
  std::vector<Group> groups(const std::string& blk) const {
    const BlockSpec& b = s_.block;
    const std::vector<std::string> ffn{blk + "ffn_gate.weight", blk + "ffn_up.weight", blk + "ffn_gate_exps.weight",
                                       blk + "ffn_up_exps.weight", blk + "ffn_gate_inp.weight"};
    std::vector<std::string> attn{blk + "attn_q.weight", blk + "attn_k.weight", blk + "attn_v.weight",
                                  blk + "attn_qkv.weight"};
    std::vector<Group> out;
    if (b.pre_norms && model_.find(blk + "attn_norm.weight")) {
      if (b.parallel == BlockSpec::Parallel::shared_norm) attn.insert(attn.end(), ffn.begin(), ffn.end());
      out.push_back({.vectors = {blk + "attn_norm.weight", blk + "attn_norm.bias"}, .readers = attn});
    }
    if (b.pre_norms && b.parallel != BlockSpec::Parallel::shared_norm && model_.find(blk + "ffn_norm.weight"))
      out.push_back({.vectors = {blk + "ffn_norm.weight", blk + "ffn_norm.bias"}, .readers = ffn});
    if (model_.find(blk + "attn_v.weight")) {
      out.push_back({.vectors = {blk + "attn_v.bias"},
                     .matrix = blk + "attn_v.weight",
                     .readers = {blk + "attn_output.weight"},
                     .heads = b.attn.heads / b.attn.kv_heads,
                     .head_dim = b.attn.head_dim});
    }
    if (b.ffn.gated && !b.ffn.fused && model_.find(blk + "ffn_down.weight")) {
      out.push_back(
          {.vectors = {blk + "ffn_up.bias"}, .matrix = blk + "ffn_up.weight", .readers = {blk + "ffn_down.weight"}});
    }
    return out;
  }

  // Mean squares of what the readers read, a value for each row of the matrix in front.
  std::vector<float> inputs(const Group& group) const {
    for (const std::string& name : group.readers) {
      const std::vector<float> mean = importance_.mean(name);
      if (mean.empty() || group.head_dim == 0) {
        if (!mean.empty()) return mean;
        continue;
      }
      const auto run = static_cast<size_t>(group.head_dim), heads = static_cast<size_t>(group.heads);
      std::vector<float> out(mean.size() / heads);
      for (size_t i = 0; i < out.size(); ++i) {
        for (size_t h = 0; h < heads; ++h)
          out[i] += mean[(i / run * heads + h) * run + i % run] / static_cast<float>(heads);
      }
      return out;
    }
    return {};
  }

  // The same for each column of the readers.
  static std::vector<float> spread(const Group& group, const std::vector<float>& values) {
    if (group.head_dim == 0 || group.heads == 1) return values;
    const auto run = static_cast<size_t>(group.head_dim), heads = static_cast<size_t>(group.heads);
    std::vector<float> out(values.size() * heads);
    for (size_t i = 0; i < out.size(); ++i) out[i] = values[i / run / heads * run + i % run];
    return out;
  }

  static std::vector<float> factors(const std::vector<float>& inputs, double power) {
    double logs = 0;
    for (const float x : inputs) logs += std::log(std::max(double{x}, 1e-12));
    const double middle = logs / static_cast<double>(inputs.size());
    std::vector<float> out;
    for (const float x : inputs) {
      const double f = std::exp(power / 2 * (std::log(std::max(double{x}, 1e-12)) - middle));
      out.push_back(std::clamp(static_cast<float>(f), 1 / kReach, kReach));
    }
    return out;
  }

  // Errors of rows of a reader, by what its columns read.
  Result<double> error(const TensorView& rows, DType type, const std::vector<float>& inputs,
                       const std::vector<float>& factor) const {
    const int64_t n = rows.rows(), cols = rows.cols();
    std::vector<float> own(static_cast<size_t>(n * cols)), importance(static_cast<size_t>(cols)), back(own.size());
    std::vector<std::byte> bytes(static_cast<size_t>(n * row_bytes(type, cols)));
    format(rows.dtype).decode(rows.data, own.data(), n * cols);
    std::vector<float> grown = own;
    for (size_t i = 0; i < own.size(); ++i) grown[i] *= factor[i % importance.size()];
    for (size_t c = 0; c < importance.size(); ++c) importance[c] = inputs[c] / (factor[c] * factor[c]);
    MatrixOptions options;
    options.method = Rounding::importance;
    options.importance = importance;
    options.cancel = o_.cancel;
    MIAO_CHECK_OK(encode_matrix(type, grown, cols, options, pool_, bytes.data()));
    format(type).decode(bytes.data(), back.data(), n * cols);
    double out = 0;
    for (size_t i = 0; i < own.size(); ++i) {
      const double d = double{grown[i]} - double{back[i]};
      out += d * d * double{importance[i % importance.size()]};
    }
    return out;
  }

  Result<void> settle(const Group& group) {
    const std::vector<float> wide = inputs(group);
    if (wide.empty()) return {};
    const std::vector<float> columns = spread(group, wide);
    std::array<double, kSteps + 1> errors = {};
    bool any = false;
    for (const std::string& name : group.readers) {
      const TensorView* const t = model_.find(name);
      if (!t || format(type_(name)).block == 1) continue;
      const Sample sample = sample_of(*t);
      any = true;
      for (int step = 0; step <= kSteps; ++step) {
        const std::vector<float> factor = spread(group, factors(wide, double(step) / kSteps));
        MIAO_TRY(const double e, error(sample.view, type_(name), columns, factor));
        // Of the sample as of all rows.
        errors[static_cast<size_t>(step)] +=
            e * static_cast<double>(t->rows()) / static_cast<double>(sample.view.rows());
      }
    }
    const auto best = std::ranges::min_element(errors);
    if (!any || !(*best < kWorth * errors[0])) return {};
    const std::vector<float> factor = factors(wide, double(best - errors.begin()) / kSteps);
    std::vector<float> less;
    for (const float f : factor) less.push_back(1 / f);
    for (const std::string& name : group.vectors) {
      if (model_.find(name)) times(out_[name].cols, less);
    }
    if (!group.matrix.empty()) times(out_[group.matrix].rows, less);
    for (const std::string& name : group.readers) {
      if (model_.find(name)) times(out_[name].cols, spread(group, factor));
    }
    return {};
  }

  static void times(std::vector<float>& to, const std::vector<float>& by) {
    if (to.empty()) to.assign(by.size(), 1.0f);
    for (size_t i = 0; i < to.size(); ++i) to[i] *= by[i];
  }

  const io::Checkpoint& model_;
  const ModelSpec& s_;
  const Importance& importance_;
  const TypeOfTensor& type_;
  const FoldOptions& o_;
  ThreadPool& pool_;
  Changes out_;
};

}  // namespace

Result<std::optional<Scaled>> scale(const io::Checkpoint& model, const std::filesystem::path& beside,
                                    const Importance& importance, const TypeOfTensor& type,
                                    const FoldOptions& options) {
  if (model.kind() != io::Checkpoint::Kind::gguf)
    return Error{Code::invalid, "is no GGUF file; make one of it first", model.path().string()};
  MIAO_TRY(const ModelSpec spec, models::spec_of(model));
  if (spec.shape == ModelSpec::Shape::encoder_decoder)
    return Error{Code::unsupported, "is an encoder-decoder, whose matrices are not scaled", model.path().string()};
  MIAO_TRY(const auto pool, ThreadPool::create(options.threads ? options.threads : cpu_limits().threads()));
  MIAO_TRY(const Changes changes, Scale(model, spec, importance, type, options, *pool).plan());
  if (changes.empty()) return std::optional<Scaled>();
  MIAO_TRY(GgufCopy copy, write_changed(model, beside, changes, "scaled", options));
  Scaled out{std::move(copy), importance};
  for (const auto& [name, change] : changes) {
    if (!change.cols.empty()) out.importance.scale(name, change.cols);
  }
  return std::optional(std::move(out));
}

}  // namespace miao::compress
