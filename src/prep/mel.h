// MelSpectrogram: Whisper's log-mel features, the same numbers as openai-whisper and transformers'
// WhisperFeatureExtractor.
//
//   const MelSpectrogram mel(80);                             // 80 bins; 128 for large-v3
//   std::vector<float> features = mel.chunk(samples);         // (80, 3000) in row order: bin by bin, 10 ms a frame
//
//   samples, reflected by 200 at both ends | every 160: 400 under a Hann window | power of 201 frequencies |
//   triangles, evenly spaced on Slaney's mel scale up to 8 kHz, each of area 1 | log10, at least 1e-10 |
//   not below the loudest value of all frames - 8 | (x + 4) / 4
//
// The loudest value is that of the samples given, so of a chunk, as in transformers; openai-whisper takes it of a whole
// recording. Some 10 ms a chunk on one core.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "prep/audio/dft.h"

namespace miao::prep {

class MelSpectrogram {
 public:
  static constexpr size_t kHop = 160;               // samples a frame
  static constexpr size_t kChunk = 480000;          // samples of 30 s
  static constexpr size_t kFrames = kChunk / kHop;  // 3000

  explicit MelSpectrogram(int bins);  // 1 to 128: more are narrower than a frequency

  int bins() const { return static_cast<int>(filters_.size()); }
  // (bins, samples.size() / kHop); samples at kAudioRate.
  std::vector<float> operator()(std::span<const float> samples) const;
  // (bins, kFrames): the first 30 s, with silence behind a shorter end.
  std::vector<float> chunk(std::span<const float> samples) const;

  // For recordings that are read piece by piece. The logarithms of `frames` frames, the first around samples[from],
  // (bins, frames); at the loudest `normalise` cuts off what is too quiet.
  std::vector<float> logarithms(std::span<const float> samples, size_t from, size_t frames) const;
  static void normalise(std::span<float> logarithms, float loudest);
  static constexpr float kSilence = -10;  // the logarithm of what is below 1e-10
  static constexpr size_t kReach = 200;   // samples that a frame reads before and behind its middle

 private:
  struct Filter {
    size_t first;  // frequency, of (0 .. 200) * 40 Hz
    std::vector<double> weights;
  };

  std::vector<double> window_;
  std::vector<Filter> filters_;
  Dft400 dft_;
};

}  // namespace miao::prep
