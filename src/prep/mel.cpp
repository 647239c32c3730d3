#include "prep/mel.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "base/check.h"
#include "prep/audio.h"

namespace miao::prep {

namespace {

constexpr size_t kWindow = Dft400::kPoints, kHalf = kWindow / 2;
constexpr size_t kFrequencies = kHalf + 1;
constexpr int kMaxBins = 128;
constexpr double kHighest = kAudioRate / 2;

// Slaney's scale: linear up to 1000 Hz, which is 15 mel, then 27 mel for each factor of 6.4.
double to_mel(double hz) { return hz < 1000 ? hz * 3 / 200 : 15 + 27 * std::log(hz / 1000) / std::log(6.4); }
double to_hz(double mel) { return mel < 15 ? mel * 200 / 3 : 1000 * std::exp((mel - 15) / 27 * std::log(6.4)); }

// The sample at a place that may lie before the first or behind the last: the signal mirrored there, ends not doubled.
float reflected(std::span<const float> samples, ptrdiff_t at) {
  const auto last = static_cast<ptrdiff_t>(samples.size()) - 1;
  while (last > 0 && (at < 0 || at > last)) at = at < 0 ? -at : 2 * last - at;
  return samples[static_cast<size_t>(last > 0 ? at : 0)];
}

}  // namespace

MelSpectrogram::MelSpectrogram(int bins) : window_(kWindow) {
  MIAO_CHECK(bins >= 1 && bins <= kMaxBins);
  for (size_t i = 0; i < kWindow; ++i) {
    window_[i] = 0.5 - 0.5 * std::cos(2 * std::numbers::pi * static_cast<double>(i) / static_cast<double>(kWindow));
  }
  const double step = to_mel(kHighest) / (bins + 1);
  for (int bin = 0; bin < bins; ++bin) {
    const double low = to_hz(bin * step), middle = to_hz((bin + 1) * step), high = to_hz((bin + 2) * step);
    Filter filter{kFrequencies, {}};
    for (size_t k = 0; k < kFrequencies; ++k) {
      const double hz = static_cast<double>(k) * kHighest / kHalf;
      const double height = std::min((hz - low) / (middle - low), (high - hz) / (high - middle));
      if (height <= 0) continue;
      filter.first = std::min(filter.first, k);
      filter.weights.push_back(height * 2 / (high - low));
    }
    filters_.push_back(std::move(filter));
  }
}

std::vector<float> MelSpectrogram::operator()(std::span<const float> samples) const {
  std::vector<float> out = logarithms(samples, 0, samples.size() / kHop);
  if (!out.empty()) normalise(out, *std::max_element(out.begin(), out.end()));
  return out;
}

void MelSpectrogram::normalise(std::span<float> logarithms, float loudest) {
  for (float& v : logarithms) v = (std::max(v, loudest - 8) + 4) / 4;
}

std::vector<float> MelSpectrogram::logarithms(std::span<const float> samples, size_t from, size_t frames) const {
  static_assert(kReach == kHalf);
  std::vector<float> out(filters_.size() * frames);
  Dft400::Points points;
  double power[2][kFrequencies];
  // Two frames a transform, one as the real and one as the imaginary part.
  for (size_t first = 0; first < frames; first += 2) {
    const size_t count = std::min<size_t>(2, frames - first);
    for (size_t i = 0; i < kWindow; ++i) {
      const auto at = static_cast<ptrdiff_t>(from + first * kHop + i) - static_cast<ptrdiff_t>(kHalf);
      points[i] = {window_[i] * reflected(samples, at),
                   count == 2 ? window_[i] * reflected(samples, at + static_cast<ptrdiff_t>(kHop)) : 0};
    }
    dft_(points);
    for (size_t k = 0; k < kFrequencies; ++k) {
      const Complex a = points[k], b = points[(kWindow - k) % kWindow];
      const double re0 = a.re + b.re, im0 = a.im - b.im, re1 = a.im + b.im, im1 = b.re - a.re;
      power[0][k] = (re0 * re0 + im0 * im0) / 4;
      power[1][k] = (re1 * re1 + im1 * im1) / 4;
    }
    for (size_t bin = 0; bin < filters_.size(); ++bin) {
      const Filter& filter = filters_[bin];
      for (size_t f = 0; f < count; ++f) {
        double sum = 0;
        for (size_t k = 0; k < filter.weights.size(); ++k) sum += filter.weights[k] * power[f][filter.first + k];
        out[bin * frames + first + f] = static_cast<float>(std::log10(std::max(sum, 1e-10)));
      }
    }
  }
  return out;
}

std::vector<float> MelSpectrogram::chunk(std::span<const float> samples) const {
  std::vector<float> padded(kChunk);
  std::copy_n(samples.begin(), std::min(samples.size(), kChunk), padded.begin());
  return (*this)(padded);
}

}  // namespace miao::prep
