#include "runtime/speech/features.h"

#include <algorithm>

namespace miao::runtime {

namespace {

constexpr auto kHop = static_cast<int64_t>(prep::MelSpectrogram::kHop);
constexpr auto kReach = static_cast<int64_t>(prep::MelSpectrogram::kReach);

}  // namespace

// Before the first sample the signal is mirrored, behind the last one there is silence.
Result<SpeechFeatures::Piece> SpeechFeatures::piece(int64_t first, int64_t frames) {
  const int64_t lead = std::min(kReach, first * kHop), begin = first * kHop - lead;
  const int64_t count = lead + frames * kHop + kReach;
  MIAO_TRY(const std::span<const float> there, recording_.window(begin, count));
  std::vector<float> samples(static_cast<size_t>(count));
  std::copy(there.begin(), there.end(), samples.begin());
  Piece out{std::vector<float>(static_cast<size_t>(mel_.bins() * frames)), begin + static_cast<int64_t>(there.size()),
            there.size() < samples.size()};
  pool_->run([&](Worker& worker) {
    const Range mine = worker.split(frames, 2);  // a transform takes two: the same ones whatever the threads
    if (mine.empty()) return;
    const auto from = static_cast<size_t>(lead + mine.begin * kHop);
    const std::vector<float> part = mel_.logarithms(samples, from, static_cast<size_t>(mine.size()));
    for (int64_t bin = 0; bin < mel_.bins(); ++bin) {
      std::copy_n(part.begin() + bin * mine.size(), mine.size(), out.logarithms.begin() + bin * frames + mine.begin);
    }
  });
  return out;
}

Result<SpeechFeatures> SpeechFeatures::of(Recording recording, int bins, ThreadPool& pool,
                                          const std::atomic<bool>* cancel) {
  SpeechFeatures out(std::move(recording), bins, pool);
  for (int64_t first = 0;; first += kWindow) {
    if (cancel && cancel->load()) return Error{Code::cancelled, "interrupted", {}};
    MIAO_TRY(const Piece piece, out.piece(first, kWindow));
    for (const float value : piece.logarithms) out.loudest_ = std::max(out.loudest_, value);
    out.samples_ = piece.samples;
    if (piece.end) break;
  }
  MIAO_CHECK_OK(out.recording_.rewind());
  return out;
}

Result<std::span<const float>> SpeechFeatures::window(int64_t first) {
  const auto bins = static_cast<size_t>(mel_.bins());
  const auto there = static_cast<size_t>(std::clamp<int64_t>(frames() - first, 0, kWindow));
  window_.assign(static_cast<size_t>(kWindow) * bins, 0);
  silent_ = true;
  if (there == 0) return std::span<const float>(window_);
  MIAO_TRY(Piece piece, this->piece(first, static_cast<int64_t>(there)));
  for (const float value : piece.logarithms) silent_ &= value <= prep::MelSpectrogram::kSilence;
  prep::MelSpectrogram::normalise(piece.logarithms, loudest_);
  for (size_t frame = 0; frame < there; ++frame) {
    for (size_t bin = 0; bin < bins; ++bin) window_[frame * bins + bin] = piece.logarithms[bin * there + frame];
  }
  return std::span<const float>(window_);
}

}  // namespace miao::runtime
