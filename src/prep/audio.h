// Audio files as a model of speech takes them: mono, 16,000 samples a second, float32 within about -1..1.
//
//   MIAO_TRY(std::vector<float> samples, read_audio("talk.flac"));
//
// Read are WAV (PCM, float, A-law, mu-law, ADPCM), FLAC, Ogg (Vorbis, Opus) and MP3, told apart by content. Channels
// are averaged; other rates are resampled with soxr, whose error lies 120 dB below the signal.
//
// Files come from anywhere: they are decoded piece by piece, and the samples that arrive are counted, not those that a
// header promises. What is wrong comes back as an Error that names the file and the mend. A file that was cut off is
// refused, not transcribed to where it ends.
#pragma once

#include <filesystem>
#include <memory>
#include <span>
#include <vector>

#include "base/result.h"

namespace miao::prep {

constexpr int kAudioRate = 16000;

struct AudioLimits {
  double max_seconds = 4 * 3600;  // 920 MB of samples
};

// A file read piece by piece, for recordings of hours.
class AudioReader {
 public:
  // Errors: not_found, invalid (no audio), unsupported (a format or rate that is not read), corrupt.
  static Result<AudioReader> open(const std::filesystem::path& path, const AudioLimits& limits = {});
  AudioReader(AudioReader&&) noexcept;
  AudioReader& operator=(AudioReader&&) noexcept;
  ~AudioReader();

  // Appends the samples of the next piece, at times none; false = that was the last. Errors: corrupt, and invalid for a
  // file that is over a limit or holds no samples.
  Result<bool> read(std::vector<float>& out);

 private:
  struct State;
  explicit AudioReader(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// All of a file. Errors: those of AudioReader.
Result<std::vector<float>> read_audio(const std::filesystem::path& path, const AudioLimits& limits = {});

// Samples of another rate as read_audio() would give them. Errors: unsupported rate, invalid sample, out_of_memory.
Result<std::vector<float>> resample(std::span<const float> samples, int rate);

}  // namespace miao::prep
