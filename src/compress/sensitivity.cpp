#include "compress/sensitivity.h"

#include <algorithm>
#include <deque>
#include <numeric>
#include <optional>

#include "compress/quantize.h"
#include "compress/search/rendered.h"
#include "compress/search/streams.h"
#include "io/checkpoint.h"

namespace miao::compress {

namespace {

using runtime::Blockwise;
using Windows = std::span<const std::vector<int32_t>>;

double mean(std::span<const double> values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

// The coarsest type that decoders usually survive, so that what it costs stands out of chance.
DType probe_of(std::span<const DType> types) {
  for (const DType t : {DType::q4_0, DType::q4_k, DType::q5_0, DType::q8_0}) {
    if (std::ranges::find(types, t) != types.end()) return t;
  }
  return *std::ranges::min_element(types, {}, [](DType t) { return row_bytes(t, 256); });
}

class Measurement {
 public:
  Measurement(Blockwise& model, Windows windows, const Importance& importance, std::span<const DType> types,
              const LossOptions& options)
      : model_(model),
        windows_(windows),
        options_(options),
        round_{.importance = &importance, .cancel = options.cancel},
        types_(types) {}

  Result<std::vector<MatrixLoss>> run() {
    MIAO_CHECK_OK(choose());
    Streams streams(model_, windows_, options_.cancel);
    MIAO_TRY(base_, Base::of(model_, streams, windows_));
    const int64_t layers = model_.spec().layers;
    MIAO_CHECK_OK(of_block(streams, kOutside, true));  // what the embedding is in goes through all blocks
    for (int64_t layer = 0; layer < layers; ++layer) {
      MIAO_CHECK_OK(of_block(streams, layer, false));
      if (layer + 1 < layers) MIAO_CHECK_OK(streams.advance());
    }
    MIAO_CHECK_OK(of_block(streams, kOutside, false));
    return std::move(out_);
  }

 private:
  // The matrices, each with the types that fit it.
  Result<void> choose() {
    MIAO_TRY(const std::vector<Subject> subjects, subjects_of(model_.checkpoint()));
    for (const Subject& t : subjects) {
      if (t.keep || t.shape.size() < 2) continue;
      MatrixLoss m{.tensor = t.name, .layer = block_of(t.name), .shape = t.shape, .types = {}};
      const TensorView& source = *model_.checkpoint().find(t.name);
      m.types.push_back({.type = t.dtype, .bytes = source.bytes});
      std::vector<DType> fitting;
      for (const DType type : types_) {
        if (source.cols() % format(type).block == 0 && type != t.dtype) fitting.push_back(type);
      }
      if (fitting.empty()) continue;
      for (const DType type : fitting) m.types.push_back({.type = type});
      m.probe = probe_of(fitting);
      out_.push_back(std::move(m));
    }
    if (out_.empty()) {
      return Error{Code::unsupported, "has no matrix that could become smaller", model_.checkpoint().path().string()};
    }
    total_ = static_cast<int64_t>(out_.size());
    return {};
  }

  Result<double> loss_now(Streams& streams) {
    MIAO_TRY(const std::vector<double> kl, base_->divergence(model_, streams));
    return mean(kl);
  }

  // Of the matrices of a block; of kOutside, those that `streams` can still feel: the embedding at the beginning, the
  // others behind the last block.
  Result<void> of_block(Streams& streams, int64_t layer, bool first) {
    std::deque<Rendered> kept;
    std::vector<TensorView> probes, eights;  // of `here`; in Q8_0, without a name where that is none of the types
    std::vector<MatrixLoss*> here;
    for (MatrixLoss& m : out_) {
      if (m.layer != layer || (layer == kOutside && first != (m.tensor == "token_embd.weight"))) continue;
      here.push_back(&m);
      eights.emplace_back();
      const TensorView& source = *model_.checkpoint().find(m.tensor);
      const Sample sample = sample_of(source);
      double sampled = 0, all = 0;  // errors of the probe
      for (size_t i = 1; i < m.types.size(); ++i) {
        TypeLoss& t = m.types[i];
        MIAO_TRY(const Rendered some, render(model_, sample.view, t.type, round_));
        t.bytes = static_cast<uint64_t>(source.rows() * row_bytes(t.type, source.cols()));
        t.error = some.error;
        if (t.type != DType::q8_0 && t.type != m.probe) continue;
        MIAO_TRY(Rendered made, render(model_, source, t.type, round_));
        kept.push_back(std::move(made));
        if (t.type == DType::q8_0) eights.back() = kept.back().view;
        if (t.type != m.probe) continue;
        probes.push_back(kept.back().view);
        sampled = some.error, all = kept.back().error;
      }
      for (TypeLoss& t : m.types) t.error *= sampled > 0 ? all / sampled : 1;
    }
    if (here.empty()) return {};
    Replaced replaced(model_);
    MIAO_TRY(const std::vector<double> acts, losses_of_q8(streams, replaced, eights));
    for (size_t i = 0; i < here.size(); ++i) {
      MIAO_CHECK_OK(replaced.put({&probes[i], 1}));
      MIAO_TRY(here[i]->probe_loss, loss_now(streams));
      MIAO_CHECK_OK(replaced.restore());
      settle(*here[i], acts[i]);
      if (options_.progress) options_.progress(++done_, total_);
    }
    return {};
  }

  // What each of the matrices costs in Q8_0, most of which is rounded activations. Those of a decoder's block share
  // what all cost together, which saves half of the passes. Encoders are small, and what is rounded matters there:
  // values that attention adds up cost ten times as much as queries.
  Result<std::vector<double>> losses_of_q8(Streams& streams, Replaced& replaced, std::span<const TensorView> eights) {
    std::vector<double> out(eights.size());
    std::vector<TensorView> all;
    const bool each = model_.spec().shape == models::ModelSpec::Shape::encoder;
    for (size_t i = 0; i < eights.size(); ++i) {
      if (eights[i].name.empty()) continue;
      all.push_back(eights[i]);
      if (!each) continue;
      MIAO_CHECK_OK(replaced.put({&eights[i], 1}));
      MIAO_TRY(out[i], loss_now(streams));
      MIAO_CHECK_OK(replaced.restore());
    }
    if (each || all.empty()) return out;
    MIAO_CHECK_OK(replaced.put(all));
    MIAO_TRY(const double loss, loss_now(streams));
    MIAO_CHECK_OK(replaced.restore());
    std::ranges::fill(out, loss / static_cast<double>(all.size()));
    return out;
  }

  static void settle(MatrixLoss& m, double act) {
    double error = 0, fine = 0;
    for (const TypeLoss& t : m.types) {
      if (t.type == m.probe) error = t.error;
      if (t.type == DType::q8_0) fine = t.error;
    }
    // Some of what Q8_0 costs is its weights: loss = act + gain * error in both.
    m.act = std::min(act, m.probe_loss);
    const double gain = error > fine ? (m.probe_loss - m.act) / (error - fine) : 0;
    m.act = std::max(0.0, m.act - gain * fine);
    for (size_t i = 1; i < m.types.size(); ++i) m.types[i].loss = m.act + gain * m.types[i].error;
  }

  Blockwise& model_;
  Windows windows_;
  const LossOptions& options_;
  RoundOptions round_;
  std::span<const DType> types_;
  std::optional<Base> base_;
  std::vector<MatrixLoss> out_;
  int64_t done_ = 0, total_ = 0;
};

// Allocations side by side: all of them through a block, then all through the next, so that a block's matrices are
// rounded once a type and never pile up.
class Allocations {
 public:
  Allocations(Blockwise& model, Windows windows, const Importance& importance, std::span<const TypesByName> allocations,
              const LossOptions& options)
      : model_(model), windows_(windows), allocations_(allocations), options_(options) {
    round_ = {.importance = &importance, .cancel = options.cancel};
    for (size_t i = 0; i < allocations.size(); ++i) streams_.emplace_back(model, windows, options.cancel);
  }

  Result<std::vector<std::vector<double>>> run() {
    std::vector<std::vector<double>> out;
    Streams own(model_, windows_, options_.cancel);
    MIAO_TRY(const Base base, Base::of(model_, own, windows_));
    const int64_t layers = model_.spec().layers, total = layers * static_cast<int64_t>(streams_.size());
    MIAO_CHECK_OK(keep(kOutside, outside_));
    for (int64_t layer = 0; layer < layers; ++layer) {
      std::map<std::pair<std::string, DType>, Rendered> made;
      MIAO_CHECK_OK(keep(layer, made));
      for (size_t i = 0; i < streams_.size(); ++i) {
        Replaced replaced(model_);
        MIAO_CHECK_OK(put(replaced, i, layer, made));
        if (layer + 1 < layers) {
          MIAO_CHECK_OK(streams_[i].advance());
        } else {
          MIAO_TRY(std::vector<double> kl, base.divergence(model_, streams_[i]));
          out.push_back(std::move(kl));
        }
        MIAO_CHECK_OK(replaced.restore());
        if (options_.progress) {
          options_.progress(layer * static_cast<int64_t>(streams_.size()) + static_cast<int64_t>(i) + 1, total);
        }
      }
    }
    return out;
  }

 private:
  using Made = std::map<std::pair<std::string, DType>, Rendered>;

  Result<void> keep(int64_t layer, Made& made) {
    for (const TypesByName& types : allocations_) {
      for (const auto& [name, type] : types) {
        if (block_of(name) != layer || made.contains({name, type})) continue;
        const TensorView* const source = model_.checkpoint().find(name);
        if (!source) return Error{Code::not_found, "the model has no such tensor", name};
        if (source->dtype == type) continue;
        MIAO_TRY(Rendered one, render(model_, *source, type, round_));
        made.emplace(std::pair(name, type), std::move(one));
      }
    }
    return {};
  }

  // The matrices of a block as allocation i has them; the embedding and the output matrix where they are read.
  Result<void> put(Replaced& replaced, size_t i, int64_t layer, const Made& made) {
    std::vector<TensorView> views;
    for (const auto& [name, type] : allocations_[i]) {
      const int64_t block = block_of(name);
      const bool outside = block == kOutside && (layer == 0 || layer + 1 == model_.spec().layers);
      if (!outside && block != layer) continue;
      const Made& from = outside ? outside_ : made;
      if (const auto at = from.find({name, type}); at != from.end()) views.push_back(at->second.view);
    }
    return views.empty() ? Result<void>() : replaced.put(views);
  }

  Blockwise& model_;
  Windows windows_;
  std::span<const TypesByName> allocations_;
  const LossOptions& options_;
  RoundOptions round_;
  std::deque<Streams> streams_;
  Made outside_;
};

}  // namespace

Result<std::vector<MatrixLoss>> measure_sensitivity(Blockwise& model, Windows windows, const Importance& importance,
                                                    std::span<const DType> types, const LossOptions& options) {
  return Measurement(model, windows, importance, types, options).run();
}

Result<std::vector<std::vector<double>>> measure_losses(Blockwise& model, Windows windows, const Importance& importance,
                                                        std::span<const TypesByName> allocations,
                                                        const LossOptions& options) {
  return Allocations(model, windows, importance, allocations, options).run();
}

}  // namespace miao::compress
