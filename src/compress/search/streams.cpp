#include "compress/search/streams.h"

#include <cmath>

#include "base/check.h"
#include "graph/context.h"
#include "io/checkpoint.h"
#include "kernels/table.h"
#include "measure/divergence.h"

namespace miao::compress {

using runtime::Engine;
using runtime::Logits;

Streams::Streams(Engine& engine, std::span<const std::vector<int32_t>> windows, const std::atomic<bool>* cancel)
    : engine_(engine),
      windows_(windows),
      cancel_(cancel),
      sequence_(engine.new_sequence()),
      ld_(kernels::round_up(engine.spec().dim, kernels::kLanes)) {
  for (const auto& window : windows) x_.emplace_back(static_cast<size_t>(ld_) * window.size());
}

Result<void> Streams::run(size_t window, graph::Blocks blocks, const Engine::Sink& sink) {
  blocks.first = block_;
  blocks.in = block_ > 0 ? x_[window].data() : nullptr;
  blocks.ld = ld_;
  return engine_.forward_blocks(sequence_, windows_[window], blocks, sink, cancel_);
}

Result<void> Streams::advance() {
  MIAO_CHECK(block_ + 1 < engine_.spec().layers);
  for (size_t i = 0; i < windows_.size(); ++i) MIAO_CHECK_OK(run(i, {.end = block_ + 1, .out = x_[i].data()}, {}));
  ++block_;
  return {};
}

Result<void> Streams::logits(const Take& take) {
  for (size_t i = 0; i < windows_.size(); ++i) {
    MIAO_CHECK_OK(run(i, {.end = engine_.spec().layers},
                      [&](int64_t first, const Logits& rows) { return take(i, first, rows); }));
  }
  return {};
}

Result<Base> Base::of(Engine& engine, Streams& streams, std::span<const std::vector<int32_t>> windows) {
  Base out;
  out.vocab_ = engine.vocab();
  for (const auto& window : windows) {
    out.logits_.emplace_back(window.size() * static_cast<size_t>(out.vocab_));
    out.log_sums_.emplace_back(window.size());
  }
  std::vector<std::vector<float>> scratch(static_cast<size_t>(engine.pool().threads()));
  MIAO_CHECK_OK(streams.logits([&](size_t window, int64_t first, const Logits& rows) -> Result<void> {
    engine.pool().run([&](Worker& worker) {
      std::vector<float>& p = scratch[static_cast<size_t>(worker.index)];
      p.resize(static_cast<size_t>(out.vocab_));
      const Range own = worker.split(rows.rows());
      for (int64_t i = own.begin; i < own.end; ++i) {
        const auto at = static_cast<size_t>(first + i);
        std::ranges::copy(rows.row(i), out.logits_[window].begin() + static_cast<std::ptrdiff_t>(at) * out.vocab_);
        out.log_sums_[window][at] = measure::view(engine.context().kernels, rows.row(i), 0, p).log_sum;
      }
    });
    return {};
  }));
  return out;
}

Result<std::vector<double>> Base::divergence(Engine& engine, Streams& streams) const {
  std::vector<double> out(logits_.size(), 0.0), kl;
  std::vector<std::vector<float>> scratch(static_cast<size_t>(engine.pool().threads()));
  MIAO_CHECK_OK(streams.logits([&](size_t window, int64_t first, const Logits& rows) -> Result<void> {
    kl.assign(static_cast<size_t>(rows.rows()), 0.0);
    engine.pool().run([&](Worker& worker) {
      std::vector<float>& both = scratch[static_cast<size_t>(worker.index)];
      both.resize(2 * static_cast<size_t>(vocab_));
      const auto p = std::span(both).first(static_cast<size_t>(vocab_)), q = std::span(both).subspan(p.size());
      const Range own = worker.split(rows.rows());
      for (int64_t i = own.begin; i < own.end; ++i) {
        const auto at = static_cast<size_t>(first + i);
        const std::span<const float> base{&logits_[window][at * static_cast<size_t>(vocab_)], p.size()};
        const auto& k = engine.context().kernels;
        measure::view(k, base, 0, p);
        const measure::TokenView other = measure::view(k, rows.row(i), 0, q);
        kl[static_cast<size_t>(i)] =
            measure::divergence(base, log_sums_[window][at], p, rows.row(i), other.log_sum, q).kl;
      }
    });
    for (const double value : kl) out[window] += value;
    return {};
  }));
  for (size_t i = 0; i < out.size(); ++i) {
    out[i] /= static_cast<double>(log_sums_[i].size());
    if (std::isfinite(out[i])) continue;
    return Error{Code::corrupt, "the model gives logits that are no numbers; its file may be damaged",
                 engine.checkpoint().path().string()};
  }
  return out;
}

}  // namespace miao::compress
