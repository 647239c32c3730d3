#include "compress/layers.h"

#include <algorithm>
#include <deque>
#include <map>
#include <memory>
#include <string>

#include "base/check.h"
#include "base/fault.h"
#include "compress/gptq.h"
#include "compress/importance.h"
#include "compress/rounding.h"
#include "io/checkpoint.h"
#include "kernels/table.h"

namespace miao::compress {

namespace {

using runtime::Blockwise;

constexpr size_t kDrifting = 2;  // of so many windows one is followed without rounding too

// Matrices that read the same rows, such as q, k and v.
struct Group {
  std::vector<const TensorView*> tensors;
  std::unique_ptr<Moments> moments;
  std::vector<float> rows, undisturbed;  // of the window at hand
};

class Layers {
 public:
  Layers(Blockwise& model, std::span<const std::vector<int32_t>> windows, const TypeOf& type, const Take& take,
         const LayersOptions& options)
      : model_(model), windows_(windows), type_(type), take_(take), options_(options) {
    ld_ = kernels::round_up(model.spec().dim, kernels::kLanes);
    for (const auto& window : windows) x_.emplace_back(static_cast<size_t>(ld_) * window.size());
    undisturbed_.assign(x_.begin(), x_.begin() + static_cast<int64_t>((x_.size() + kDrifting - 1) / kDrifting));
  }

  Result<void> run() {
    const int64_t layers = model_.spec().layers;
    for (int64_t layer = 0; layer < layers; ++layer) {
      MIAO_CHECK_OK(calibrate(layer, false));
      MIAO_CHECK_OK(quantise());
      MIAO_CHECK_OK(model_.replace(fresh_views()));
      if (layer + 1 == layers) MIAO_CHECK_OK(calibrate(layer, true));
      for (size_t i = 0; layer + 1 < layers && i < windows_.size(); ++i) {
        MIAO_CHECK_OK(forward(layer, i, x_[i].data(), x_[i].data()));
      }
      std::vector<TensorView> back;  // its own weights: what has been written need not stay in memory
      for (const TensorView& t : fresh_) back.push_back({.name = t.name});
      MIAO_CHECK_OK(model_.replace(back));
      MIAO_CHECK_OK(give());
      if (options_.done) MIAO_CHECK_OK(options_.done(layer + 1));
    }
    MIAO_CHECK_OK(quantise());
    return give();
  }

 private:
  Result<void> give() {
    for (size_t i = 0; i < fresh_.size(); ++i) MIAO_CHECK_OK(take_(fresh_[i].name, fresh_[i].dtype, bytes_[i]));
    fresh_.clear();
    bytes_.clear();
    return {};
  }

  // To the end of the model where there is no `out`.
  Result<void> forward(int64_t layer, size_t window, const float* in, float* out) {
    const graph::Blocks blocks{.first = layer, .end = layer + 1, .in = layer > 0 ? in : nullptr, .out = out, .ld = ld_};
    const auto ignore = [](int64_t, const runtime::Logits&) -> Result<void> { return {}; };
    return model_.run_blocks(windows_.subspan(window, 1), blocks, ignore, options_.cancel);
  }

  // Moments of what every matrix of the layer reads, or of what stands behind the last. The latter knows nothing of
  // inputs without rounding: its matrix may be that of the embedding too, which has to stay near to what it is.
  Result<void> calibrate(int64_t layer, bool behind) {
    groups_.clear();
    experts_ = {};
    bool rounded = true;
    model_.tap_reads([&](std::span<const Blockwise::Reader> readers, const float* values, int64_t rows, int64_t cols,
                         int64_t stride) {
      if (readers[0].tensor.starts_with("blk.") != behind) see(readers, rounded, values, rows, cols, stride);
    });
    std::vector<float> out;
    Result<void> ran;
    for (size_t i = 0; ran.ok() && i < windows_.size(); ++i) {
      out.resize(x_[i].size());
      if (!behind && i < undisturbed_.size()) {
        rounded = false;
        ran = forward(layer, i, undisturbed_[i].data(), out.data());
        undisturbed_[i].swap(out);
        rounded = true;
      }
      out.resize(x_[i].size());
      if (ran.ok()) ran = forward(layer, i, x_[i].data(), behind ? nullptr : out.data());
      for (Group& group : groups_) {
        const int64_t cols = group.moments->cols(), rows = static_cast<int64_t>(group.rows.size()) / cols;
        const float* const undisturbed =
            group.undisturbed.size() == group.rows.size() ? group.undisturbed.data() : nullptr;
        if (rows > 0) group.moments->add(model_.context(), group.rows.data(), undisturbed, rows, cols);
        group.rows.clear();
        group.undisturbed.clear();
      }
    }
    model_.tap_reads({});
    return ran;
  }

  // Inside of a pass: rows are kept until it is over.
  void see(std::span<const Blockwise::Reader> readers, bool rounded, const float* values, int64_t rows, int64_t cols,
           int64_t stride) {
    const TensorView* const first = model_.checkpoint().find(readers[0].tensor);
    MIAO_CHECK(first);
    if (first->shape.size() > 2) {
      if (!rounded) return;
      std::string_view before;
      for (const Blockwise::Reader& reader : readers) {
        if (reader.tensor == before) continue;
        before = reader.tensor;
        const TensorView* const t = model_.checkpoint().find(reader.tensor);
        experts_.add(reader.tensor, reader.row / t->shape[1], t->shape[0], values, rows, cols, stride);
      }
      return;
    }
    auto at = std::ranges::find_if(groups_, [&](const Group& g) { return g.tensors[0] == first; });
    if (at == groups_.end()) {
      at = groups_.insert(groups_.end(), Group{});
      for (const Blockwise::Reader& reader : readers) {
        const TensorView* const t = model_.checkpoint().find(reader.tensor);
        if (at->tensors.empty() || at->tensors.back() != t) at->tensors.push_back(t);
      }
      at->moments = std::make_unique<Moments>(cols);
    }
    std::vector<float>& to = rounded ? at->rows : at->undisturbed;
    for (int64_t r = 0; r < rows; ++r) to.insert(to.end(), values + r * stride, values + r * stride + cols);
  }

  Result<void> quantise() {
    for (const Group& group : groups_) {
      const auto wanted = [&](const TensorView* t) { return format(type_(t->name)).block > 1; };
      if (std::ranges::none_of(group.tensors, wanted)) continue;
      std::map<int64_t, Feedback> feedbacks;  // by the size of blocks
      for (const TensorView* t : group.tensors) {
        if (!wanted(t)) continue;
        const int64_t block = format(type_(t->name)).block;
        if (!feedbacks.contains(block)) {
          auto feedback = Feedback::of(model_.context(), *group.moments, block, options_.damp);
          if (!feedback.ok()) return std::move(feedback.error()).at(t->name);
          feedbacks.emplace(block, std::move(*feedback));
        }
        const std::vector<float> w = values(*t, 0, t->rows());
        std::byte* const to = fresh(*t);
        auto done =
            encode_gptq(fresh_.back().dtype, w, feedbacks.at(block), {.cancel = options_.cancel}, model_.context(), to);
        if (!done.ok()) return std::move(done.error()).at(t->name);
        fault_point("gptq.matrix");
      }
    }
    for (const auto& [name, input] : experts_.inputs()) {
      const TensorView& t = *model_.checkpoint().find(name);
      if (format(type_(name)).block == 1) continue;
      std::byte* to = fresh(t);
      for (int64_t e = 0; e < t.shape[0]; ++e) {
        const std::vector<float> w = values(t, e * t.shape[1], t.shape[1]), mean = experts_.mean(name, e);
        MatrixOptions options{.method = mean.empty() ? Rounding::least_squares : Rounding::importance,
                              .importance = mean,
                              .cancel = options_.cancel,
                              .progress = {}};
        auto done = encode_matrix(fresh_.back().dtype, w, t.cols(), options, model_.pool(), to);
        if (!done.ok()) return std::move(done.error()).at(t.name);
        to += t.shape[1] * row_bytes(fresh_.back().dtype, t.cols());
      }
    }
    return {};
  }

  static std::vector<float> values(const TensorView& t, int64_t first, int64_t rows) {
    std::vector<float> out(static_cast<size_t>(rows * t.cols()));
    format(t.dtype).decode(t.row(first), out.data(), rows * t.cols());
    return out;
  }

  // Room for a tensor in its new type.
  std::byte* fresh(const TensorView& t) {
    TensorView out = t;
    out.dtype = type_(t.name);
    out.bytes = static_cast<uint64_t>(t.rows() * row_bytes(out.dtype, t.cols()));
    bytes_.emplace_back(out.bytes);
    out.data = bytes_.back().data();
    fresh_.push_back(std::move(out));
    return bytes_.back().data();
  }
  std::span<const TensorView> fresh_views() const { return fresh_; }

  Blockwise& model_;
  std::span<const std::vector<int32_t>> windows_;
  const TypeOf& type_;
  const Take& take_;
  const LayersOptions& options_;
  int64_t ld_ = 0;
  std::vector<std::vector<float>> x_;            // of each window: what goes into the layer at hand
  std::vector<std::vector<float>> undisturbed_;  // the same of the model as it is
  std::deque<Group> groups_;
  Importance experts_;
  std::vector<TensorView> fresh_;
  std::deque<std::vector<std::byte>> bytes_;  // their data
};

}  // namespace

Result<void> quantize_layers(runtime::Blockwise& model, std::span<const std::vector<int32_t>> windows,
                             const TypeOf& type, const Take& take, const LayersOptions& options) {
  if (windows.empty()) return Error{Code::invalid, "there is no calibration text", {}};
  return Layers(model, windows, type, take, options).run();
}

}  // namespace miao::compress
